"""A look at one limit for one request: what would happen now, changing nothing."""

from libc.stdint cimport int64_t

from tidegate.limits.keys cimport Asked
from tidegate.limits.limit cimport Limit, Member, Moment

# How many requests of cost 1 would pass at once, and in how long as many as ever.
cdef int64_t left_of(Limit limit, Member* member, const Moment* now, int64_t* reset_ns) noexcept

# Peek. ``key``: the value of a key of one part, instead of what the request has; None: that.
cdef object peek_at(Limit limit, const Asked* asked, str tier, const Moment* now, bytes key=*)
