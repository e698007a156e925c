"""A look at one limit for one request: what would happen now, changing nothing."""

from tidegate.limits.keys cimport Asked
from tidegate.limits.limit cimport Limit, Moment

# Peek. ``key``: the value of a key of one part, instead of what the request has; None: that.
cdef object peek_at(Limit limit, const Asked* asked, str tier, const Moment* now, bytes key=*)
