"""Readiness of the worker's sockets: one epoll instance inside the event loop, sockets as extension objects.

uvloop stays the loop that filters, timers and control see; the data plane's sockets hang on an epoll of their own,
whose descriptor is one reader of that loop. A batch of events is then handled in C without a Python call per event.
Sockets are registered once, edge triggered, for both directions: no epoll_ctl on the way of a request.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    SCRATCH_SIZE = 262144       # one read takes at most this much

cdef struct Timer:
    # A deadline in the wheel. Embedded in the object that owns it, which must unlink it before it dies.
    Timer* prev
    Timer* next
    uint64_t due_ms             # wheel position it is linked at
    uint64_t deadline_ms        # what the owner wants; later than due_ms is fine: it is re-linked when it comes up
    void* owner                 # borrowed: a Channel

cdef class Channel:
    """One registered descriptor."""
    cdef Reactor reactor
    cdef int fd                 # -1 once closed
    cdef bint queued            # in the reactor's ready list
    cdef Timer timer
    cdef void on_event(self, uint32_t events)       # EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR
    cdef void on_ready(self)                        # asked for with ``call_soon``
    cdef void on_deadline(self)
    cdef void set_deadline(self, uint64_t deadline_ms) noexcept     # on the reactor's clock; 0: none
    cdef void close_fd(self) noexcept               # unregisters, closes, drops the timer; safe to call twice

cdef class Reactor:
    cdef readonly int epoll_fd
    cdef char* scratch          # valid until the next read on this reactor
    cdef char* compose          # where outgoing heads are written before they are sent; SCRATCH_SIZE bytes
    cdef uint64_t now_ns        # CLOCK_MONOTONIC, read once per batch
    cdef uint64_t now_ms
    cdef object loop
    cdef list ready             # channels to call before the next wait
    cdef list graveyard         # closed in this batch; kept alive until it ends
    cdef void* events
    cdef bint scheduled
    cdef Timer* slots
    cdef uint64_t wheel_ms      # the wheel has been turned up to here
    cdef readonly uint64_t batches
    cdef readonly uint64_t events_seen
    cdef readonly long channels
    cdef int register(self, Channel channel) except -1
    cdef void call_soon(self, Channel channel) noexcept
    cdef void refresh_clock(self) noexcept
    cdef void link(self, Timer* timer) noexcept
    cdef void unlink(self, Timer* timer) noexcept
