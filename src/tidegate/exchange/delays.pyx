"""Exchanges that wait for their turn, in order: one timer for all of them, and none while nobody waits.

A turn is a time that a limit has given out, or when to look again whether a fleet's store has answered. Who waits has an entry in the heap until then. Who leaves earlier leaves it there, to
be found out when its time comes, which may be an hour: when more than half of many entries are such, all of them are thrown
away at once, which costs each leaver a constant.
"""

from libc.stdint cimport uint64_t

from tidegate.exchange.state cimport LEASE, TURN, ExchangeState
from tidegate.memory.marks cimport leave
from tidegate.net.reactor cimport Reactor

from heapq import heapify, heappop, heappush

cdef enum:
    STEP_NS = 1000000           # the timer's resolution: turns closer than this are served together
    LEFT_MAX = 256              # entries of those who have left, in whatever short a heap


cdef inline bint _waits(ExchangeState x, uint64_t number):
    return x.number == number and (x.waits_for == TURN or x.waits_for == LEASE)


cdef class DelayQueue:

    def __init__(self, Reactor reactor not None):
        self.reactor = reactor
        self.heap = []

    cdef int put(self, ExchangeState x, uint64_t due_ns) except -1:
        """``x.turn_came`` is called at ``due_ns`` on the reactor's clock, or within a millisecond after it."""
        self.came += 1
        heappush(self.heap, (due_ns, self.came, x, x.number))
        if self.handle is None or due_ns < self.armed_ns:
            self._arm(due_ns)
        return 0

    cdef int leave(self) except -1:
        self.left += 1
        if self.left > LEFT_MAX and 2 * self.left > len(self.heap):
            self.heap = [entry for entry in self.heap if _waits(entry[2], entry[3])]
            heapify(self.heap)
            self.left = 0
        return 0

    def _arm(self, uint64_t due_ns):
        cdef Reactor reactor = self.reactor
        cdef uint64_t now_ns = reactor.now_ns
        cdef uint64_t steps = (due_ns - now_ns + STEP_NS - 1) // STEP_NS if due_ns > now_ns else 0
        if self.handle is not None:
            self.handle.cancel()
        self.armed_ns = due_ns
        self.handle = reactor.loop.call_later(steps / 1000.0, self._serve)

    def _serve(self):
        cdef Reactor reactor = self.reactor
        cdef ExchangeState x
        cdef uint64_t number, due_ns
        self.handle = None
        reactor.begin_callback()
        try:
            while self.heap and <uint64_t>self.heap[0][0] <= reactor.now_ns:
                _, _, x, number = heappop(self.heap)
                if _waits(x, number):
                    x.turn_came()
                else:
                    self.left -= 1
        finally:
            leave(reactor.mark)
            if self.heap:
                due_ns = self.heap[0][0]
                self._arm(due_ns)

    def __len__(self):
        return len(self.heap) - self.left

    def __repr__(self):
        return f"<DelayQueue {len(self)} wait>"
