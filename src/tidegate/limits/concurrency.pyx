"""One limit on what is in flight at the same time, as one worker sees it: permits, and a waiting room for them.

The counts are the machine's (``memory.inflight``): who is in flight and who waits, by class. Waiters themselves are the
worker's (``limits.queue``). So the limit, the bound of the queue and the shares of classes are exact over all workers,
and a worker that dies leaves nothing of it behind.

Rules:

1. Who comes takes a permit if there is one that nobody waiting has a better claim to; else it takes a place in the
   queue, marks its worker's bell, tries once more, and waits. No place: it is refused.
2. The queue is bounded over all classes. When it is full, one who comes may displace the newest waiter of a less
   important class in this worker, but none of a class that has no more places than its share of the queue; one of a
   class that has less than its share may displace one of any class that has more.
3. A class that has a guarantee may borrow beyond it what the others do not want. What is lent comes back with the next
   permits that are released: while somebody waits who has a right to one, no class beyond its guarantee gets it.
4. Who releases rings the class that has a right to the permit, or else the most important that waits. Who hears its
   bell, or its timer after BELL_TIMER_MS, serves as many of its own as it gets permits for.
5. Who defers to others although there is room rings one of them; so does who stops waiting. The room may be theirs.
6. A worker that is stopped while some of its own wait keeps from the others what these have a right to, their class's
   guarantee at most, until it goes on or is replaced. Beyond that nobody waits for it longer than the timer.
7. Who asks may have a bound of its own on the same count (``which``): whose tier is allowed more goes on where others wait,
   and waits in a line beside theirs.
8. Of a fleet's limit the bounds are what the machine has of it now (``memory.grants``): they are read when somebody comes and
   with each bell, and once more after a permit was taken.

A limit without key is there as long as its configuration, and keeps its rows. Of one with a key there is an object for each
key that somebody waits for here, and for no other: the rows of a key are freed when nobody counts in them (``frees_rows``).

The rules of waiting are searched exhaustively in ``tests/limits/test_concurrency_model.py``.

Nothing here waits or reads a clock: ``now_ns`` comes in, and what came of it goes out. The caller polls the bell's
descriptor, and looks again by timer while anybody waits (``room``, ``next_timeout_ns``).
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from cpython.bytearray cimport PyByteArray_AS_STRING

from tidegate.limits.bell cimport LimitBell
from tidegate.memory.grants cimport GrantTable, grant_maximum
from tidegate.memory.inflight cimport (
    PERMIT_ARRIVAL,
    PERMIT_CLASSES,
    PERMIT_GONE,
    PERMIT_SECOND_TRY,
    PERMIT_TURN,
    PermitTable,
    permit_acquire,
    permit_asker,
    permit_claim,
    permit_close,
    permit_counts,
    permit_find,
    permit_live,
    permit_name,
    permit_owed,
    permit_release,
    permit_release_keyed,
    permit_rules,
    permit_sum,
    permit_waiting_fingerprint,
)

from typing import NamedTuple

from tidegate.limits.queue import WaitingRoom


cdef int64_t MILLISECOND_NS = 1000000


class ConcurrencyStatistics(NamedTuple):
    """A limit as it is now: over all workers, and ``waiting_here`` and what follows in this one."""

    maximum: int
    in_flight: tuple
    guaranteed: tuple
    waiting: tuple
    waiting_here: int
    oldest_ns: int
    is_standing: bool


cdef int fill_rules(permit_rules* rules, uint64_t maximum, shares) except -1:
    cdef unsigned class_ = 0
    if len(shares) > PERMIT_CLASSES or any(share < 0 for share in shares) or sum(shares) > 1 + 1e-9:
        raise ValueError(f"expected at most {PERMIT_CLASSES} shares that are 1 together, got {shares}")
    rules.maximum = maximum
    rules.guarantee = [0, 0, 0, 0]
    for share in shares:
        # 0.29 * 100 is 28.999…: what was meant is not rounded away
        rules.guarantee[class_] = <uint64_t>(share * maximum + 1e-6)
        class_ += 1
    return 0


cdef class ConcurrencyLimit:
    """``table``: the limit's block, ``fingerprint``: of its name, ``maximum``: permits on the machine.

    ``queue``: how many may wait on the machine, each ``queue_timeout_ns`` at most; beyond ``target_ns`` of age the
    newest is served first. ``shares``: the part of the maximum, 0 to 1, that each class has a right to, the most
    important first; together 1 at most. ``more``: what others are allowed instead of ``maximum``.
    """

    def __cinit__(
        self,
        PermitTable table,
        uint64_t fingerprint,
        LimitBell bell,
        *,
        uint64_t maximum,
        uint64_t queue=0,
        int64_t queue_timeout_ns=0,
        int64_t target_ns=0,
        shares=(),
        more=(),
        bint frees_rows=False,
        GrantTable grants=None,
    ):
        cdef int which = 1
        self.table = table
        self.fingerprint = fingerprint
        self.waiting_fingerprint = permit_waiting_fingerprint(fingerprint)
        self.bell = bell
        self.room = WaitingRoom(queue, queue_timeout_ns, target_ns)
        self.shares = tuple(shares)
        self.frees_rows = frees_rows
        self.grants = grants
        self.bounds = (maximum, *more)
        fill_rules(&self.places, queue, shares)
        for class_, share in enumerate(shares):
            self.places.guarantee[class_] = max(self.places.guarantee[class_], 1 if share else 0)
        self.row = self.waiting_row = -1
        self.count = 1 + len(more)
        self.rules_owner = bytearray(sizeof(permit_rules) * self.count)
        self.rules = <permit_rules*>PyByteArray_AS_STRING(self.rules_owner)
        for other in more:
            fill_rules(&self.rules[which], other, shares)
            which += 1
        self.maximum = maximum

    @property
    def maximum(self) -> int:
        """Permits on the machine; when it rises, who waits is rung."""
        return self.rules[0].maximum

    @maximum.setter
    def maximum(self, uint64_t maximum):
        self.bound(0, maximum)

    cdef void bound(self, int which, uint64_t maximum) except *:
        cdef uint64_t before = self.rules[which].maximum
        cdef int other
        fill_rules(&self.rules[which], maximum, self.shares)
        self.most = 0
        for other in range(self.count):
            self.most = max(self.most, self.rules[other].maximum)
        if maximum > before:
            self.ring_next(False)

    cdef void follow_grant(self, int64_t now_ms) noexcept:
        cdef uint64_t maximum
        cdef int which
        self.granted_ms = now_ms
        for which in range(self.count):
            maximum = grant_maximum(&self.grants.table, self.fingerprint, now_ms, self.bounds[which])
            if maximum != self.rules[which].maximum:
                self.bound(which, maximum)

    cdef bint is_granted(self) noexcept nogil:
        # A permit that was counted is one of those that the machine has (rule 4 of ``grants.h``).
        cdef uint64_t held = permit_sum(self.table.view, self.row).total
        return <int64_t>held <= grant_maximum(
            &self.grants.table, self.fingerprint, self.granted_ms, <int64_t>self.most
        )

    # -- permits -------------------------------------------------------------------------------------------------------

    cdef bint claim(self) noexcept nogil:
        # The limit's rows in its block. Without one, which means that others still hold permits in all of them, nobody
        # can be admitted.
        self.row = permit_claim(self.table.view, &self.table.table, self.fingerprint)
        if self.row < 0:
            self.table.crowded = self.table.crowded + 1
        return self.row >= 0

    cdef bint acquire(self, unsigned class_, int which, permit_asker asker) noexcept nogil:
        cdef int64_t got, waiting_row = -1
        cdef int tries
        if self.places.maximum and self.waiting_row >= 0:
            if permit_name(self.table.view, self.waiting_row)[0] == permit_live(self.waiting_fingerprint):
                waiting_row = self.waiting_row
        if self.places.maximum and waiting_row < 0:
            self.waiting_row = permit_claim(self.table.view, &self.table.table, self.waiting_fingerprint)
            waiting_row = self.waiting_row
        for tries in range(3):
            if self.row < 0 and not self.claim():
                return False
            got = permit_acquire(
                self.table.view, self.row, self.fingerprint, class_, &self.rules[which], waiting_row, asker
            )
            if got >= 0 and self.grants is not None and not self.is_granted():
                permit_release(self.table.view, self.row, class_)
                return False
            if got != PERMIT_GONE:
                return got >= 0
            permit_close(self.table.view, self.row)
            self.row = -1
        return False

    cdef bint acquire_nowait(self, unsigned class_, int which) noexcept nogil:
        return self.acquire(class_, which, PERMIT_ARRIVAL)

    cdef void release(self, int64_t row, unsigned class_) noexcept nogil:
        if self.frees_rows:
            permit_release_keyed(self.table.view, row, class_)
        else:
            permit_release(self.table.view, row, class_)
        if self.places.maximum:
            self.ring_next(True)

    cdef permit_counts held(self) noexcept nogil:
        cdef permit_counts none = permit_counts([0, 0, 0, 0], 0)
        if self.row < 0 or permit_name(self.table.view, self.row)[0] != permit_live(self.fingerprint):
            return none     # freed, and somebody else's by now
        return permit_sum(self.table.view, self.row)

    cdef permit_counts waiting(self) noexcept nogil:
        cdef permit_counts none = permit_counts([0, 0, 0, 0], 0)
        cdef int64_t row = self.waiting_row
        if row < 0:
            row = permit_find(self.table.view, &self.table.table, self.waiting_fingerprint)
        return none if row < 0 else permit_sum(self.table.view, row)

    cdef void ring_next(self, bint has_freed) noexcept nogil:
        # Who has a right to what is free, or else the most important. Who has freed something rings though it looks
        # full: somebody may have counted in only to be refused, and does not ask for a place.
        cdef permit_counts waiting = self.waiting()
        cdef permit_counts held
        cdef unsigned class_
        cdef int first = -1
        if waiting.total == 0:
            return
        held = self.held()
        if held.total >= self.most and not has_freed:
            return
        for class_ in range(PERMIT_CLASSES):
            if permit_owed(&self.rules[0], &held, &waiting, class_):
                first = class_
                break
            if first < 0 and waiting.of[class_]:
                first = class_
        self.bell.ring(first)

    # -- waiting -------------------------------------------------------------------------------------------------------

    def enqueue(self, tenant: str, unsigned class_, double weight, int64_t arrived_ns, int which=0):
        """A place in the queue, and who had to make way for it: (waiter, displaced waiter).

        The waiter is None when all places are taken on the machine. If it ``is_admitted``, it did not have to wait.
        One that was displaced waits no more: it is refused. Mostly nobody is. ``arrived_ns`` is now, or when it began to
        wait if it comes out of another queue. ``which``: of the bounds, it is asked by; 0 is ``maximum``.
        """
        self._check(class_)
        if not 0 <= which < self.count:
            raise IndexError(f"there are {self.count} bounds, there is no bound {which}")
        displaced = None
        if not self._take_place(class_):
            displaced = self._displace(class_)
            if displaced is None or not self._take_place(class_):
                self.ring_next(False)
                return None, displaced
        waiter = self.room.enter(tenant, class_, weight, arrived_ns, which)
        self._wait(class_)
        if self.count == 1 and self.room.waiting(class_) > 1:
            return waiter, displaced        # those before it have tried
        if self.acquire(class_, which, PERMIT_SECOND_TRY):
            waiter.is_admitted = True
            waiter.row = self.row
            self.room.leave(waiter)
            self.left(class_)
        else:
            self.ring_next(False)
        return waiter, displaced

    def _displace(self, unsigned class_):
        cdef permit_counts waiting = self.waiting()
        cdef bint has_less = waiting.of[class_] < self.places.guarantee[class_]
        cdef unsigned other
        for other in reversed(range(PERMIT_CLASSES)):
            if other == class_ or (other < class_ and not has_less):
                continue
            newest = self.room.newest(other)
            if newest is not None and waiting.of[other] > self.places.guarantee[other]:
                self.room.leave(newest)
                self.left(other)
                return newest
        return None

    def _take_place(self, unsigned class_):
        cdef int64_t got
        cdef int tries
        if self.places.maximum == 0:
            return False
        for tries in range(3):
            if self.waiting_row < 0:
                self.waiting_row = permit_claim(self.table.view, &self.table.table, self.waiting_fingerprint)
                if self.waiting_row < 0:
                    self.table.crowded = self.table.crowded + 1
                    return False
            got = permit_acquire(
                self.table.view, self.waiting_row, self.waiting_fingerprint, class_, &self.places, -1, PERMIT_TURN
            )
            if got != PERMIT_GONE:
                return got >= 0
            permit_close(self.table.view, self.waiting_row)
            self.waiting_row = -1
        return False

    cdef void _wait(self, unsigned class_) noexcept:
        # Somebody of a class waits, and looks again after this.
        if self.waits[class_]:
            self.bell.mark(class_)
        else:
            self.waits[class_] = True
            self.bell.begin(class_)

    cdef void left(self, unsigned class_) noexcept:
        # One of a class waits no more, and was taken out of the room.
        permit_release(self.table.view, self.waiting_row, class_)
        if self.waits[class_] and self.room.waiting(class_) == 0:
            self.waits[class_] = False
            if not self.bell.end(class_):
                self.ring_next(False)        # a bell was rung for us that we have no use for

    def on_bell(self, int64_t now_ns):
        """Those of the room who are admitted now, after a bell or by the timer; each holds a permit of its class."""
        cdef unsigned class_
        admitted = []
        if self.grants is not None:
            self.follow_grant(now_ns // MILLISECOND_NS)
        for class_ in range(PERMIT_CLASSES):
            if self.room.waiting(class_):
                self._wait(class_)
        while (waiter := self._serve_next(now_ns)) is not None:
            waiter.is_admitted = True
            waiter.row = self.row
            admitted.append(waiter)
            self.left(waiter.class_)
        return admitted

    def _serve_next(self, int64_t now_ns):
        cdef unsigned class_
        for class_ in range(PERMIT_CLASSES):
            if not self.room.waiting(class_):
                continue
            for which in self.room.bounds(class_):
                if self.acquire(class_, which, PERMIT_TURN):
                    return self.room.serve(class_, now_ns, which)
        return None

    def leave(self, waiter) -> bool:
        """Its client has gone; False: it does not wait any more, so that it may hold a permit."""
        if not self.room.leave(waiter):
            return False
        self.left(waiter.class_)
        self.ring_next(False)            # what was owed to it may be lent now
        return True

    def timed_out(self, int64_t now_ns):
        """Those who have waited for too long; they wait no more."""
        expired = self.room.expire(now_ns)
        for waiter in expired:
            self.left(waiter.class_)
        if expired:
            self.ring_next(False)
        return expired

    def close(self):
        """Takes everybody out who waits here, and gives back the rows if nobody uses them; those who waited."""
        waiting = self.room.clear()
        for waiter in waiting:
            self.left(waiter.class_)
        self.ring_next(False)
        for row in (self.row, self.waiting_row):
            if row >= 0:
                permit_close(self.table.view, row)
        self.waiting_row = -1
        return waiting

    # -- for Python code off the request path --------------------------------------------------------------------------

    def take(self, unsigned class_=0) -> bool:
        """A permit at once, or False."""
        self._check(class_)
        return self.acquire_nowait(class_, 0)

    def give_back(self, unsigned class_=0) -> None:
        """Ends a permit of that class."""
        self._check(class_)
        if self.row >= 0:       # it cannot be lost while a permit is held
            self.release(self.row, class_)

    def statistics(self, int64_t now_ns):
        """The limit as it is now."""
        cdef permit_counts held = self.held(), waiting = self.waiting()
        room = self.room.statistics(now_ns)
        classes = range(PERMIT_CLASSES)
        return ConcurrencyStatistics(
            maximum=self.rules[0].maximum,
            in_flight=tuple(held.of[i] for i in classes),
            guaranteed=tuple(self.rules[0].guarantee[i] for i in classes),
            waiting=tuple(waiting.of[i] for i in classes),
            waiting_here=len(self.room),
            oldest_ns=room.oldest_ns,
            is_standing=room.is_standing,
        )

    def _check(self, unsigned class_):
        if class_ >= PERMIT_CLASSES:
            raise IndexError(f"there are {PERMIT_CLASSES} classes, there is no class {class_}")

    def __repr__(self):
        cdef permit_counts held = self.held(), waiting = self.waiting()
        return f"<ConcurrencyLimit {held.total}/{self.rules[0].maximum} in flight, {waiting.total} waiting>"
