"""One limit on what is in flight at the same time, as one worker sees it."""

from libc.stdint cimport int64_t, uint64_t

from tidegate.limits.bell cimport LimitBell
from tidegate.memory.grants cimport GrantTable
from tidegate.memory.inflight cimport PermitTable, permit_asker, permit_counts, permit_rules

# ``shares``: the part of ``maximum`` that each class has a right to. Raises ValueError for what is more than a whole.
cdef int fill_rules(permit_rules* rules, uint64_t maximum, shares) except -1

cdef class ConcurrencyLimit:
    # for good
    cdef readonly PermitTable table
    cdef readonly LimitBell bell
    cdef readonly object room               # WaitingRoom
    cdef uint64_t fingerprint
    cdef uint64_t waiting_fingerprint
    cdef tuple shares
    cdef bint frees_rows                    # with the last permit
    cdef GrantTable grants                  # how many of a fleet's permits this machine has; None: all are its own
    cdef tuple bounds                       # … of which so many are allowed, by number
    # changes with the limit
    cdef int count                          # bounds on the one count: the first is for everybody else
    cdef object rules_owner
    cdef permit_rules* rules
    cdef uint64_t most                      # the highest of the bounds
    cdef int64_t granted_ms                 # when it was last looked how many there are
    cdef permit_rules places                # of the queue: as many as may wait on the machine
    # rows of this limit; -1: not claimed yet, or lost to another limit while nobody held anything
    cdef int64_t row
    cdef int64_t waiting_row
    cdef bint[4] waits                      # by class: whether somebody waits here, and the bell is marked
    # True: go on, and give back with ``release`` what is held in ``row``. Takes no time beyond a look at the counts.
    cdef bint acquire_nowait(self, unsigned class_, int which) noexcept nogil
    cdef void release(self, int64_t row, unsigned class_) noexcept nogil
    cdef bint acquire(self, unsigned class_, int which, permit_asker asker) noexcept nogil
    # Of a fleet's limit: as many permits as the machine has now; who waits is rung when they are more.
    cdef void follow_grant(self, int64_t now_ms) noexcept
    cdef bint is_granted(self) noexcept nogil
    cdef void bound(self, int which, uint64_t maximum) except *
    cdef bint claim(self) noexcept nogil
    cdef permit_counts held(self) noexcept nogil
    cdef permit_counts waiting(self) noexcept nogil
    cdef void ring_next(self, bint has_freed) noexcept nogil
    cdef void _wait(self, unsigned class_) noexcept
    cdef void left(self, unsigned class_) noexcept
