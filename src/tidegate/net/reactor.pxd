"""Readiness of the worker's sockets: one epoll instance inside the event loop, sockets as extension objects.

uvloop stays the loop that filters, timers and control see; the data plane's sockets hang on an epoll of their own,
whose descriptor is one reader of that loop. A batch of events is then handled in C without a Python call per event.
Sockets are registered once, edge triggered, for both directions: no epoll_ctl on the way of a request.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.memory.marks cimport Mark
from tidegate.net.syscalls cimport epoll_event

cdef enum:
    SCRATCH_SIZE = 262144       # one read takes at most this much
    STAGING_SIZE = 16384        # what a TLS record holds
    TICK_MS = 100               # resolution of the timer wheel
    WHEEL_SLOTS = 1024          # later deadlines are linked at the far end and re-linked when they come up
    BATCH_EVENTS = 256

cdef struct Timer:
    # A deadline in the wheel, embedded in the channel that owns it.
    Timer* prev
    Timer* next                 # NULL: not linked
    uint64_t due_ms             # where in the wheel it is linked
    uint64_t deadline_ms        # what the owner wants; later than due_ms is fine: it is re-linked when it comes up
    void* owner                 # borrowed: the Channel

cdef class Channel:
    """One registered descriptor with one deadline."""
    cdef Reactor reactor
    cdef int fd                 # -1 once closed
    cdef bint is_registered
    cdef bint is_queued         # in the reactor's ready list
    cdef Timer timer
    # what happens, for subclasses
    cdef void on_event(self, uint32_t events)       # EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR
    cdef void on_ready(self)                        # asked for with ``Reactor.call_soon``
    cdef void on_deadline(self)
    cdef void on_fault(self, object fault)          # one of the above raised: end what it was about
    # what a channel can ask for
    cdef void set_deadline(self, uint64_t deadline_ms) noexcept     # on the reactor's clock; 0: none
    cdef void close_fd(self) noexcept               # unregisters, closes, drops the timer; safe to call twice

cdef class Reactor:
    # memory of the worker
    cdef char* scratch          # what the last read brought; valid until the next one
    cdef char* compose          # where outgoing heads are written; SCRATCH_SIZE bytes, valid within one callback
    cdef char* staging          # where parts are joined into one TLS record; 16 KiB, valid within one call
    cdef int[2] pipe            # what ``Stream.splice_from`` moves bytes through; always empty between two calls
    # readiness
    cdef readonly int epoll_fd
    cdef object loop
    cdef epoll_event* events
    cdef list ready             # channels to call before the next wait
    cdef list graveyard         # closed since the batch began; kept alive until it ends
    cdef bint is_polling
    cdef bint is_scheduled
    cdef bint is_closed
    # time
    cdef uint64_t now_ns        # CLOCK_MONOTONIC, read once per event
    cdef uint64_t now_ms
    cdef Timer* slots           # WHEEL_SLOTS sentinels
    cdef uint64_t wheel_ms      # the wheel has been turned up to here
    cdef object tick_handle
    cdef list tick_hooks
    # where it is, for who looks from outside
    cdef Mark mark_owner
    cdef uint64_t* mark         # its words; never NULL
    # statistics
    cdef readonly uint64_t batches
    cdef readonly uint64_t events_seen
    cdef readonly uint64_t faults
    cdef readonly long channels
    cdef int register(self, Channel channel) except -1
    cdef void call_soon(self, Channel channel) noexcept
    cdef void refresh_clock(self) noexcept
    cdef void begin_callback(self) noexcept         # of the loop, not the reactor's own: the clock is read, the mark set
    cdef void link(self, Timer* timer) noexcept
    cdef void turn_wheel(self)
    cdef void run_ready(self)
    cdef void guard(self, Channel channel, object fault) noexcept
