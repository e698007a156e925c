"""The loop under a load generator's reactor.

A request has to leave when it is due. uvloop's timers are libuv's, in whole milliseconds, and asyncio's waits are
epoll_wait(2), in whole milliseconds too: each request would be up to one late. Here the wait is ppoll(2) on the reactor's
epoll, in nanoseconds. It is left out while events keep coming, so that a busy loop costs one system call a batch.

Only what ``net.reactor`` and ``upstream.connection`` ask of a loop is here: one reader, ``call_soon``, ``call_later``.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint64_t

from tidegate.net.reactor cimport Reactor
from tidegate.net.syscalls cimport timespec

import heapq

cdef extern from "<poll.h>" nogil:
    enum: POLLIN
    struct pollfd:
        int fd
        short events
        short revents
    int ppoll(pollfd* fds, unsigned long count, const timespec* timeout, const void* signals)

cdef extern from "<sys/prctl.h>" nogil:
    enum: PR_SET_TIMERSLACK
    int prctl(int option, ...)


def fine_timers():
    prctl(PR_SET_TIMERSLACK, <unsigned long>1)


cdef class Timer:
    """A call at a moment of CLOCK_MONOTONIC."""

    def cancel(self):
        self.callback = None

    def __lt__(self, Timer other):
        return (self.due_ns, self.order) < (other.due_ns, other.order)


cdef class Loop:

    def __init__(self):
        self.fd = -1
        self.soon = []
        self.timers = []
        self.faults = []
        self.reactor = Reactor(self)

    # -- what a reactor asks of a loop ----------------------------------------------------------------------------------

    def add_reader(self, int fd, callback):
        """``callback`` is the reactor's ``poll``, and is called each turn."""
        self.fd = fd

    def remove_reader(self, int fd):
        was_there = self.fd == fd
        self.fd = -1
        return was_there

    def call_soon(self, callback, *arguments):
        self.soon.append((callback, arguments))

    def call_later(self, double delay_s, callback, *arguments):
        cdef Timer timer = Timer.__new__(Timer)
        if self.reactor is not None:    # not yet while it is being made: its first tick is then due at once
            self.reactor.refresh_clock()
            timer.due_ns = self.reactor.now_ns + <uint64_t>(delay_s * 1e9)
        self.last_order += 1
        timer.order = self.last_order
        timer.callback = callback
        timer.arguments = arguments
        heapq.heappush(self.timers, timer)
        return timer

    def call_exception_handler(self, context):
        self.faults.append(context)

    # -- turning --------------------------------------------------------------------------------------------------------

    cdef int turn(self, uint64_t until_ns) except -1:
        cdef uint64_t events = self.reactor.events_seen
        cdef Timer timer
        self.reactor.poll()
        if self.soon:
            soon = self.soon
            self.soon = []
            for callback, arguments in soon:
                callback(*arguments)
        elif self.reactor.events_seen == events:
            if self.timers and (<Timer>self.timers[0]).due_ns < until_ns:
                until_ns = (<Timer>self.timers[0]).due_ns
            self.wait(until_ns)
            PyErr_CheckSignals()
        self.reactor.refresh_clock()
        while self.timers and (<Timer>self.timers[0]).due_ns <= self.reactor.now_ns:
            timer = heapq.heappop(self.timers)
            if timer.callback is not None:
                timer.callback(*timer.arguments)
            PyErr_CheckSignals()        # a loop that never waits turns its timers all the same
        return 0

    cdef void wait(self, uint64_t until_ns) noexcept:
        """Until the reactor has an event, a signal comes, or that moment."""
        cdef pollfd one
        cdef timespec left
        self.reactor.refresh_clock()
        if until_ns <= self.reactor.now_ns:
            return
        left.tv_sec = <long>((until_ns - self.reactor.now_ns) // 1000000000)
        left.tv_nsec = <long>((until_ns - self.reactor.now_ns) % 1000000000)
        one.fd = self.fd
        one.events = POLLIN
        with nogil:
            ppoll(&one, 1, &left, NULL)

    def run_for(self, double seconds):
        """Turns for so long; for what has to be done beside a load, and for tests."""
        cdef uint64_t until_ns
        self.reactor.refresh_clock()
        until_ns = self.reactor.now_ns + <uint64_t>(seconds * 1e9)
        while self.reactor.now_ns < until_ns:
            self.turn(until_ns)

    def close(self):
        """Ends it. Channels that are still open are the caller's to close."""
        self.reactor.close()
        self.reactor.loop = None    # the circle would keep both until somebody collects
        self.soon = []
        self.timers = []
