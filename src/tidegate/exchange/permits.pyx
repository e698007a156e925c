"""Exchanges that wait for a permit to be in flight.

Who is next is decided by the limit (``limits.concurrency``), for all workers together. Here is what has to be heard for that:
the bell of this worker's slot, which whoever frees a permit rings, and a timer, as a bell is a hint and may be lost. Both do
the same: ask each limit that somebody waits for who has got a permit, and who has waited for too long.
"""

from libc.stdint cimport uint64_t

from tidegate.exchange.state cimport ExchangeState
from tidegate.limits.limit cimport Limit
from tidegate.memory.marks cimport leave as leave_mark
from tidegate.net.reactor cimport Reactor

import os

from tidegate.memory.bells import BELL_TIMER_MS


cdef class PermitQueue:
    """fd: the eventfd of this worker's slot, -1 for none; the queue reads it while it is not closed."""

    def __init__(self, Reactor reactor not None, int fd):
        self.reactor = reactor
        self.fd = fd
        self.waiting = {}
        self.limits = {}
        if fd >= 0:
            reactor.loop.add_reader(fd, self._hear)

    cdef int put(self, ExchangeState x, Limit limit) except -1:
        cdef Reactor reactor = self.reactor
        tenant = "" if x.identity is None else x.identity.tenant
        if x.queued_ns == 0:
            x.queued_ns = reactor.now_ns    # who goes from one queue into another has begun to wait once
        waiter, displaced = limit.gate.enqueue(tenant, 0, 1.0, x.queued_ns)
        if displaced is not None:
            self._end(displaced, False)
        if waiter is None:
            return NO_PLACE
        if waiter.is_admitted:
            return ADMITTED
        self.waiting[waiter] = (limit, x, x.number)
        self.limits[limit] = self.limits.get(limit, 0) + 1
        x.waiter = waiter
        if self.handle is None:
            self._arm()
        return QUEUED

    cdef int leave(self, ExchangeState x) except -1:
        """Its client has gone, or its time is up."""
        cdef Limit limit
        waiter = x.waiter
        if waiter is None:
            return 0
        x.waiter = None
        limit = self._forget(waiter)[0]
        if not limit.gate.leave(waiter) and waiter.is_admitted:
            limit.gate.release(0)       # in this very moment: it is in a list that ``_serve`` works through
        return 0

    def _forget(self, waiter):
        entry = self.waiting.pop(waiter)
        limit = entry[0]
        self.limits[limit] -= 1
        if self.limits[limit] == 0:
            del self.limits[limit]
        return entry

    def _end(self, waiter, bint is_there):
        cdef Limit limit
        cdef ExchangeState x
        cdef uint64_t number
        if waiter not in self.waiting:
            return      # what was done for another one of the list has ended it
        limit, x, number = self._forget(waiter)
        if x.number == number and x.waiter is waiter:
            x.waiter = None
            x.permit_came(is_there)
        elif is_there:
            limit.gate.release(0)

    def _arm(self):
        cdef Reactor reactor = self.reactor
        self.handle = reactor.loop.call_later(BELL_TIMER_MS / 1000.0, self._look)

    def _hear(self):
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            pass        # somebody else has read it: there is one descriptor for all who look
        if self.waiting:
            self._serve()

    def _look(self):
        self.handle = None
        self._serve()
        if self.waiting and self.handle is None:
            self._arm()

    def _serve(self):
        cdef Reactor reactor = self.reactor
        cdef Limit limit
        reactor.begin_callback()
        try:
            for limit in list(self.limits):
                for waiter in limit.gate.on_bell(reactor.now_ns):
                    self._end(waiter, True)
                for waiter in limit.gate.timed_out(reactor.now_ns):
                    self._end(waiter, False)
        finally:
            leave_mark(reactor.mark)

    def close(self):
        """Nobody hears the bell any more."""
        cdef Reactor reactor = self.reactor
        if self.handle is not None:
            self.handle.cancel()
            self.handle = None
        if self.fd >= 0:
            reactor.loop.remove_reader(self.fd)
            self.fd = -1

    def __len__(self):
        return len(self.waiting)

    def __repr__(self):
        return f"<PermitQueue {len(self.waiting)} wait>"
