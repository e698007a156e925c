"""The limits of one step of a request, asked as one: all are charged, or none is."""

from libc.stdint cimport int64_t, uint64_t

from tidegate.limits.keys cimport Asked
from tidegate.limits.limit cimport Limit, Member, Moment

cdef enum:
    MEMBERS_MAX = 16            # limits of a step
    ENDPOINT_MEMBERS_MAX = 4    # … of an endpoint: config.limits.ENDPOINT_STEP_MAX
    NOBODY_REFUSED = -1

cdef class Group:
    cdef readonly tuple limits
    cdef int count
    cdef readonly bint has_permits          # some limit bounds what is in flight
    cdef readonly bint learns               # some limit is adaptive
    cdef readonly bint needs_wall           # some limit goes by the wall clock
    cdef readonly bint has_measured         # some limit is charged by what a request took
    cdef readonly bint has_reports          # some limit is told of on every answer
    cdef list means                         # CostMean of each whose cost is measured, else None
    cdef bint has_paper                     # some dry run is asked of its store for each request
    cdef bint is_single                     # one limit is charged, and no look at it can spare another a charge
    # Each gives the number of the limit that refuses, or NOBODY_REFUSED. ``look`` changes nothing but ``members``;
    # ``acquire`` takes permits, ``charge`` follows in the same stretch, and each leaves all as it was when one refuses.
    # ``wait_ns``: the longest of theirs.
    cdef int look(self, const Asked* asked, str tier, const Moment* now, Member* members, bint is_charged_next) noexcept
    # Has the store of limit ``number`` asked, which refuses for want of credits.
    cdef int borrow(self, int number, const Moment* now, Member* members) except -1
    cdef int acquire(self, Member* members, unsigned class_, const Moment* now) noexcept
    cdef int charge(self, const Moment* now, Member* members, int64_t* wait_ns) noexcept
    cdef void take_on_paper(self, Member* members) noexcept
    cdef void refund(self, const Moment* now, Member* members, int count) noexcept
    cdef void release(self, Member* members, int count) noexcept
    cdef void stand_by(self, Member* members) noexcept
    # At the end: charges or gives back what each charged limit differs by from what the request took, or filters said.
    cdef void settle_costs(
        self, Member* members, const Moment* now, dict costs, uint64_t upstream_ns, uint64_t response_bytes
    ) noexcept
    cdef int _look_at(self, bytes head, int64_t now_ns, int64_t wall_ms, bytes tenant, str tier, Member* members) except -2
