"""One exchange without sockets: a request and the head of its answer, as a filter sees them."""

from tidegate.exchange.state cimport Client

cdef class StandIn(Client):
    """The client of an exchange that nobody is connected to."""
