"""Exchanges that wait for a permit to be in flight.

Who is next is decided by the limit (``limits.concurrency``), for all workers together. Here is what has to be heard for that:
the bell of this worker's slot, which whoever frees a permit rings, and a timer, as a bell is a hint and may be lost. Both do
the same: ask each limit that somebody waits for who has got a permit, and who has waited for too long. A limit with a key has a
gate for each key that is waited for; the bell asks those whose row was rung, and the timer so many of them in turn.
"""

from libc.stdint cimport uint64_t

from tidegate.exchange.state cimport ExchangeState
from tidegate.limits.concurrency cimport ConcurrencyLimit
from tidegate.limits.limit cimport Limit, Member
from tidegate.memory.bells cimport BELL_ROWS
from tidegate.memory.marks cimport leave as leave_mark
from tidegate.net.reactor cimport Reactor

import os

from tidegate.memory.bells import BELL_TIMER_MS

cdef enum:
    AT_A_TIME = 256             # keys that the timer looks at, which takes less than a millisecond


cdef class PermitQueue:
    """fd: the eventfd of this worker's slot, -1 for none; the queue reads it while it is not closed."""

    def __init__(self, Reactor reactor not None, int fd):
        self.reactor = reactor
        self.fd = fd
        self.waiting = {}
        self.rows = {}
        if fd >= 0:
            reactor.loop.add_reader(fd, self._hear)

    cdef int put(self, ExchangeState x, Limit limit, Member* member) except -1:
        cdef Reactor reactor = self.reactor
        cdef ConcurrencyLimit gate = limit.enter_gate(member.fingerprint, reactor.now_ns)
        tenant = "" if x.identity is None else x.identity.tenant
        if x.queued_ns == 0:
            x.queued_ns = reactor.now_ns    # who goes from one queue into another has begun to wait once
        weight = limit.settings.weights.get(tenant, 1.0)
        waiter, displaced = gate.enqueue(tenant, member.class_, weight, x.queued_ns, member.which)
        if waiter is not None and not waiter.is_admitted:
            self.waiting[waiter] = (limit, gate, x, x.number)
            gates = self.rows.setdefault(gate.bell.row, {})
            gates[gate] = gates.get(gate, 0) + 1
            x.waiter = waiter
        if displaced is not None:
            self._end(displaced, False)
        if waiter is None or waiter.is_admitted:
            limit.leave_gate(gate)
            if waiter is None:
                return NO_PLACE
            member.row = waiter.row
            return ADMITTED
        if self.handle is None:
            self._arm()
        return QUEUED

    cdef int leave(self, ExchangeState x) except -1:
        """Its client has gone, or its time is up."""
        cdef Limit limit
        cdef ConcurrencyLimit gate
        waiter = x.waiter
        if waiter is None:
            return 0
        x.waiter = None
        limit, gate = self._forget(waiter)[:2]
        if not gate.leave(waiter) and waiter.is_admitted:
            gate.release(waiter.row, waiter.class_)     # in this very moment: ``_serve`` works through a list of such
        limit.leave_gate(gate)
        return 0

    def _forget(self, waiter):
        cdef ConcurrencyLimit gate
        entry = self.waiting.pop(waiter)
        gate = entry[1]
        gates = self.rows[gate.bell.row]
        gates[gate] -= 1
        if gates[gate] == 0:
            del gates[gate]
            if not gates:
                del self.rows[gate.bell.row]
        return entry

    def _end(self, waiter, bint is_there):
        cdef Limit limit
        cdef ConcurrencyLimit gate
        cdef ExchangeState x
        cdef uint64_t number
        if waiter not in self.waiting:
            return      # what was done for another one of the list has ended it
        limit, gate, x, number = self._forget(waiter)
        if x.number == number and x.waiter is waiter:
            x.waiter = None
            x.permit_came(waiter.row if is_there else -1)
        elif is_there:
            gate.release(waiter.row, waiter.class_)
        limit.leave_gate(gate)

    def _arm(self):
        cdef Reactor reactor = self.reactor
        self.handle = reactor.loop.call_later(BELL_TIMER_MS / 1000.0, self._look)

    def _hear(self):
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            pass        # somebody else has read it: there is one descriptor for all who look
        if self.waiting:
            self._serve([row for row, gates in self.rows.items() if next(iter(gates)).bell.worker.heard(row)])

    def _look(self):
        cdef int count = 0
        self.handle = None
        rows = []
        for row in sorted(self.rows, key=lambda row: (row - self.next_row) % BELL_ROWS):
            if count >= AT_A_TIME:
                break
            rows.append(row)
            count += len(self.rows[row])
            self.next_row = (row + 1) % BELL_ROWS
        self._serve(rows)
        if self.waiting and self.handle is None:
            self._arm()

    def _serve(self, rows):
        cdef Reactor reactor = self.reactor
        cdef ConcurrencyLimit gate
        reactor.begin_callback()
        try:
            for row in rows:
                for gate in list(self.rows.get(row, ())):
                    for waiter in gate.on_bell(reactor.now_ns):
                        self._end(waiter, True)
                    for waiter in gate.timed_out(reactor.now_ns):
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
