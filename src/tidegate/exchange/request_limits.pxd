"""What a filter may know and say of the limits of its request."""

from libc.stdint cimport uint64_t

from tidegate.exchange.state cimport ExchangeState
from tidegate.limits.keys cimport Asked
from tidegate.limits.limit cimport Limit, Moment
from tidegate.upstream.endpoint cimport Endpoint

cdef class RequestLimits:
    cdef ExchangeState exchange
    cdef uint64_t number                    # of the use of that object: another request's limits are none of ours
    cdef Limit _named(self, str name)
    cdef object _peek_at(self, Limit limit, Endpoint endpoint, Asked* asked, const Moment* now)

cdef RequestLimits limits_of(ExchangeState x)
