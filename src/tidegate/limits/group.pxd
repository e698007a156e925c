"""The limits of one step of a request, asked as one: all are charged, or none is."""

from libc.stdint cimport int64_t, uint16_t, uint64_t

from tidegate.limits.keys cimport Asked
from tidegate.limits.limit cimport Limit

cdef enum:
    MEMBERS_MAX = 16            # limits of a step
    NOBODY_REFUSED = -1

cdef enum Standing:
    PASSED_BY = 0               # its key is missing, or it is charged later
    CHARGED
    WOULD_REFUSE                # a dry run
    KEYLESS                     # it has no key, and is refused for that

cdef struct Member:
    # What is remembered of one limit for as long as its request lasts.
    uint64_t fingerprint
    uint16_t which              # of what the limit allows
    uint16_t standing

cdef class Group:
    cdef readonly tuple limits
    cdef int count
    # Number of the limit that refuses, or NOBODY_REFUSED. ``look`` changes nothing but ``members``; ``charge`` follows a
    # look at the same moment, and leaves all limits as they were when one refuses. ``wait_ns``: the longest of theirs.
    cdef int look(self, const Asked* asked, str tier, int64_t now_ns, Member* members) noexcept
    cdef int charge(self, int64_t now_ns, Member* members, int64_t* wait_ns) noexcept
    cdef void refund(self, int64_t now_ns, Member* members, int count) noexcept
    cdef int _look_at(self, bytes head, int64_t now_ns, bytes tenant, str tier, Member* members) except -2
