"""The answers of limits that refuse."""

from tidegate.exchange.state cimport ExchangeState
from tidegate.exchange.views cimport Response
from tidegate.limits.limit cimport Limit, Member, Moment

cdef class Refusals:
    """What was answered last for each limit: most refusals of a second have the same head."""
    cdef dict known                         # limit to [number of what is allowed, seconds, size of the body, head, body, status]
    cdef Response answer_to(self, ExchangeState x, Limit limit, Member* member, Moment now)

cdef bytes refusal_head(Limit limit, int which, long retry_s, Py_ssize_t body_size)
