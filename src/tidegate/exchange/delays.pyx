"""Exchanges that wait for their turn, in order: one timer for all of them, and none while nobody waits.

A turn is a time that a limit has given out. Who waits holds a place in the heap until then; who leaves earlier only changes its
number, and finds out when its time comes that there is nobody any more.
"""

from libc.stdint cimport uint64_t

from tidegate.exchange.state cimport ExchangeState
from tidegate.memory.marks cimport leave
from tidegate.net.reactor cimport Reactor

from heapq import heappop, heappush

cdef enum:
    STEP_NS = 1000000           # the timer's resolution: turns closer than this are served together


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
                if x.number == number:
                    x.turn_came()
        finally:
            leave(reactor.mark)
            if self.heap:
                due_ns = self.heap[0][0]
                self._arm(due_ns)

    def __len__(self):
        return len(self.heap)

    def __repr__(self):
        return f"<DelayQueue {len(self.heap)} wait>"
