"""Connections to one peer: bounded, waited for, compared at hand-out.

Rules, each with the trouble it keeps away:

1. A connection is handed out only after its peer was compared with the peer that was asked for. A pool is keyed by the
   whole peer already; the comparison costs one pointer compare and turns a mistake anywhere else into a closed
   connection instead of somebody else's reply.
2. The most recently used connection goes out first. The rest grows old and is closed by its idle time-out, so a pool
   shrinks to what the load needs, and what is handed out is the least likely to have been closed by the server.
3. Nobody overtakes: while somebody waits, a newcomer waits behind. The wait time-out is one for all, so the queue is in
   order of deadline too and expiry looks only at its head.
4. Waiters are called in one loop that is never entered twice (``is_serving``): a waiter whose dial fails at once frees
   its place for the next one, and a thousand of them must not become a thousand stack frames.
5. The kernel is asked at hand-out whether the server has said anything (``is_silent``). The event that would tell may not
   have been fetched yet, and what waits in a connection is the answer to nobody's request; it would be taken for the
   answer to the next one. It finds connections that the server has closed as well, which saves a retry.
6. A connection is counted out before it is closed, so closing it can call back into ``forget`` without harm.
"""

import logging
from dataclasses import dataclass

from tidegate.net.stream cimport Stream
from tidegate.upstream.peer cimport Peer

logger = logging.getLogger(__name__)

cdef uint64_t last_serial = 0


cdef inline uint64_t milliseconds(object seconds, uint64_t least) except? 0:
    """A duration of the configuration, or 0 for one that is switched off."""
    return 0 if seconds is None else max(<uint64_t>round(seconds * 1000), least)


cdef class PooledConnection(Stream):
    """What a pool keeps: a channel that knows whom it is connected to."""

    def __cinit__(self):
        global last_serial
        last_serial += 1
        self.serial = last_serial

    cdef bint is_reusable(self):
        return self.fd >= 0

    cdef void discard(self):
        self.close_fd()


cdef class Waiter:
    """Somebody who waits for a connection of a pool."""

    cdef void connection_available(self, PooledConnection connection):
        raise NotImplementedError

    cdef void wait_failed(self):
        raise NotImplementedError


@dataclass(frozen=True)
class PoolStatistics:
    """What a pool has and has done; counters are since the worker started."""

    peer: str
    open: int
    dialling: int
    idle: int
    waiting: int
    max_open: int
    max_idle: int
    max_waiting: int
    is_retired: bool
    dialled: int
    dials_failed: int
    reused: int
    refused: int
    timed_out: int
    discarded: int
    crossed: int


cdef class Pool:
    """The connections of one worker to one peer.

    ``bounds`` is the configuration's ``pool`` section: max, idle, wait, wait_timeout, idle_timeout, max_age,
    max_requests.
    """

    def __init__(self, Peer peer not None, bounds):
        self.peer = peer
        self.set_bounds(bounds)

    cdef void set_bounds(self, object bounds):
        self.max_open = bounds.max
        self.max_idle = bounds.idle
        self.max_waiting = bounds.wait
        self.wait_timeout_ms = milliseconds(bounds.wait_timeout, 1)
        self.idle_timeout_ms = milliseconds(bounds.idle_timeout, 1)
        self.max_age_ms = milliseconds(bounds.max_age, 1)
        self.max_uses = bounds.max_requests or 0

    # -- the way of a request -----------------------------------------------------------------------------------------

    cdef int decide(self, Peer peer, uint64_t now_ms):
        """What a request towards ``peer`` has to do now; a ``Decision``."""
        if peer is not self.peer and not self.peer.equals(peer):
            self.crossed += 1
            return CROSSED
        if self.wait_head is None:
            self.chosen = self.take_idle(now_ms)
            if self.chosen is not None:
                self.reused += 1
                return REUSE
            if self.open < self.max_open:
                self.open += 1
                self.dialling += 1
                self.dialled += 1
                return DIAL
        if self.waiting < self.max_waiting:
            return WAIT
        self.refused += 1
        return FULL

    cdef PooledConnection take_idle(self, uint64_t now_ms):
        """The most recently used connection that is fit to be used again, or None; closes what is not fit on the way."""
        cdef PooledConnection connection = self.idle_head
        while connection is not None:
            if connection.peer is not self.peer and not self.peer.equals(connection.peer):
                self.crossed += 1
            elif (
                not self.is_worn(connection, now_ms)
                and now_ms < connection.idle_since_ms + self.idle_timeout_ms
                and connection.is_reusable()
                and connection.is_silent()
            ):
                self.unlink_idle(connection)
                connection.uses += 1
                return connection
            self.drop(connection)
            connection = self.idle_head
        return None

    cdef int wait(self, Waiter waiter, uint64_t now_ms) except -1:
        """Queues ``waiter`` behind all others, until the pool's wait time-out."""
        if waiter.is_waiting:
            raise RuntimeError("this waiter waits already")
        # Never before the one in front: bounds may have been shortened while it waited, and expiry looks at the head only.
        waiter.wait_deadline_ms = now_ms + self.wait_timeout_ms
        if self.wait_tail is None:
            self.wait_head = waiter
        else:
            if waiter.wait_deadline_ms < self.wait_tail.wait_deadline_ms:
                waiter.wait_deadline_ms = self.wait_tail.wait_deadline_ms
            self.wait_tail.waiter_next = waiter
            waiter.waiter_prev = self.wait_tail
        self.wait_tail = waiter
        waiter.is_waiting = True
        self.waiting += 1
        return 0

    cdef void leave(self, Waiter waiter):
        """Takes ``waiter`` out of the queue; nothing happens if its wait has ended."""
        if waiter.is_waiting:
            self.unlink_waiter(waiter)

    cdef void adopt(self, PooledConnection connection, uint64_t now_ms):
        """Makes ``connection`` the one that a place was given for: from here ``give_back`` or ``forget`` end it."""
        self.dialling -= 1
        connection.peer = self.peer
        connection.pool = self
        connection.opened_ms = now_ms
        connection.uses = 1

    cdef void dial_failed(self, uint64_t now_ms):
        """Gives back a place that no connection was adopted for."""
        self.dialling -= 1
        self.open -= 1
        self.dials_failed += 1
        if self.wait_head is not None:
            self.serve(now_ms)

    cdef void give_back(self, PooledConnection connection, uint64_t now_ms):
        """Ends an exchange's use of ``connection``, which goes to the first waiter, to the idle list, or is closed."""
        cdef Pool owner
        if connection.pool is not self or connection.is_idle:
            # Given back twice or to the wrong pool. Whoever has it now must not get a reply meant for somebody else.
            self.crossed += 1
            if connection.pool is not None:
                owner = connection.pool
                owner.drop(connection)
                owner.serve(now_ms)
            return
        if self.is_retired or self.is_worn(connection, now_ms) or not connection.is_reusable():
            self.drop(connection)
        else:
            connection.idle_since_ms = now_ms
            self.link_idle(connection)
        if self.wait_head is not None:
            self.serve(now_ms)
        elif self.idle > self.max_idle and not self.is_serving:
            self.drop_oldest()

    cdef void forget(self, PooledConnection connection, uint64_t now_ms):
        """Counts out a connection that its owner closed; nothing happens if it has been counted out."""
        if connection.pool is not self:
            return
        if connection.is_idle:
            self.unlink_idle(connection)
        connection.pool = None
        if self.chosen is connection:
            self.chosen = None
        self.open -= 1
        if self.wait_head is not None:
            self.serve(now_ms)

    cdef void serve(self, uint64_t now_ms):
        """Gives what is free to who waits, in order."""
        cdef Waiter waiter
        cdef PooledConnection connection
        cdef long dialling
        if self.is_serving:
            return
        self.is_serving = True
        while self.wait_head is not None:
            connection = self.take_idle(now_ms)
            if connection is None and self.open >= self.max_open:
                break
            waiter = self.wait_head
            self.unlink_waiter(waiter)
            if connection is None:
                self.open += 1
                self.dialling += 1
                self.dialled += 1
            else:
                self.reused += 1
            dialling = self.dialling
            try:
                waiter.connection_available(connection)
            except BaseException as fault:
                self.mend(waiter, connection, dialling, fault)
        self.is_serving = False
        while self.idle > self.max_idle:
            self.drop_oldest()

    def mend(self, waiter, PooledConnection connection, long dialling, fault):
        """A waiter broke its word and raised: what it was given is taken back, so that the pool does not shrink by it."""
        if connection is not None:
            if connection.pool is self and not connection.is_idle:
                self.drop(connection)
        elif self.dialling == dialling:
            self.dialling -= 1
            self.open -= 1
            self.dials_failed += 1
        report(waiter, fault)

    # -- the way of the worker ----------------------------------------------------------------------------------------

    cdef void expire(self, uint64_t now_ms):
        """Ends waits that took too long and closes connections that nobody used for too long."""
        cdef Waiter waiter = self.wait_head
        while waiter is not None and waiter.wait_deadline_ms <= now_ms:
            self.unlink_waiter(waiter)
            self.timed_out += 1
            try:
                waiter.wait_failed()
            except BaseException as fault:
                report(waiter, fault)
            waiter = self.wait_head
        while self.idle_tail is not None and self.idle_tail.idle_since_ms + self.idle_timeout_ms <= now_ms:
            self.drop_oldest()
        # Bounds were lowered: what rests beyond them goes, what is in use when it is given back and one more rests.
        while self.idle > self.max_idle or (self.open > self.max_open and self.idle_tail is not None):
            self.drop_oldest()
        # Room that came without anybody giving back: bounds were raised.
        if self.wait_head is not None and self.open < self.max_open:
            self.serve(now_ms)

    cdef void retire(self):
        """No snapshot wants this peer any more: idle connections close now, those in use when they are given back."""
        self.is_retired = True
        while self.idle_tail is not None:
            self.drop_oldest()

    cdef void revive(self):
        self.is_retired = False

    def statistics(self):
        return PoolStatistics(
            self.peer.label, self.open, self.dialling, self.idle, self.waiting, self.max_open, self.max_idle,
            self.max_waiting, self.is_retired, self.dialled, self.dials_failed, self.reused, self.refused,
            self.timed_out, self.discarded, self.crossed,
        )

    def __repr__(self):
        retired = ", retired" if self.is_retired else ""
        return f"<Pool {self.peer.label} open {self.open}/{self.max_open}, idle {self.idle}, waiting {self.waiting}{retired}>"

    # -- inside -------------------------------------------------------------------------------------------------------

    cdef bint is_worn(self, PooledConnection connection, uint64_t now_ms) noexcept:
        """Whether it has had its time or its number of uses."""
        return (
            (self.max_uses != 0 and connection.uses >= self.max_uses)
            or (self.max_age_ms != 0 and now_ms >= connection.opened_ms + self.max_age_ms)
        )

    cdef void drop(self, PooledConnection connection):
        """Counts ``connection`` out and closes it."""
        if connection.is_idle:
            self.unlink_idle(connection)
        connection.pool = None
        if self.chosen is connection:
            self.chosen = None
        self.open -= 1
        self.discarded += 1
        try:
            connection.discard()
        except BaseException as fault:
            report(connection, fault)

    cdef void drop_oldest(self):
        cdef PooledConnection oldest = self.idle_tail
        self.drop(oldest)

    cdef void link_idle(self, PooledConnection connection) noexcept:
        connection.is_idle = True
        connection.idle_next = self.idle_head
        if self.idle_head is not None:
            self.idle_head.idle_prev = connection
        else:
            self.idle_tail = connection
        self.idle_head = connection
        self.idle += 1

    cdef void unlink_idle(self, PooledConnection connection) noexcept:
        cdef PooledConnection before = connection.idle_prev
        cdef PooledConnection after = connection.idle_next
        if before is not None:
            before.idle_next = after
        else:
            self.idle_head = after
        if after is not None:
            after.idle_prev = before
        else:
            self.idle_tail = before
        connection.idle_prev = None
        connection.idle_next = None
        connection.is_idle = False
        self.idle -= 1

    cdef void unlink_waiter(self, Waiter waiter) noexcept:
        cdef Waiter before = waiter.waiter_prev
        cdef Waiter after = waiter.waiter_next
        if before is not None:
            before.waiter_next = after
        else:
            self.wait_head = after
        if after is not None:
            after.waiter_prev = before
        else:
            self.wait_tail = before
        waiter.waiter_prev = None
        waiter.waiter_next = None
        waiter.is_waiting = False
        self.waiting -= 1


cdef report(owner, fault):
    """Says that a callback raised which must not; the pool itself is whole and goes on."""
    logger.error("%r raised in a callback of its pool", owner, exc_info=fault)
