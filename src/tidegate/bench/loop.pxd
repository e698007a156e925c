"""The least of an event loop: what a reactor asks of one, and a wait that ends to the nanosecond."""

from libc.stdint cimport uint64_t

from tidegate.net.reactor cimport Reactor

cdef class Timer:
    cdef readonly uint64_t due_ns
    cdef uint64_t order             # among timers of one moment
    cdef object callback            # None: cancelled
    cdef tuple arguments

cdef class Loop:
    cdef readonly Reactor reactor
    cdef int fd                     # of the reactor's epoll; -1 once it is removed
    cdef list soon                  # (callback, arguments)
    cdef list timers                # a heap of Timer
    cdef uint64_t last_order
    cdef readonly list faults       # what ``call_exception_handler`` was told
    # One turn: events, callbacks, timers; when there was no event, the next one is waited for until then.
    cdef int turn(self, uint64_t until_ns) except -1
    cdef void wait(self, uint64_t until_ns) noexcept
