"""Exchanges that wait for a permit to be in flight."""

from tidegate.exchange.state cimport ExchangeState
from tidegate.limits.limit cimport Limit, Member

cdef enum QueueAnswer:
    NO_PLACE = 0
    ADMITTED                    # a permit came free in the same moment
    QUEUED

cdef class PermitQueue:
    cdef object reactor                     # net.Reactor
    cdef int fd                             # the bell of this worker's slot; -1: none
    cdef dict waiting                       # waiter to (limits.Limit, its gate, exchange, its number)
    cdef dict rows                          # of bells: to the gates that somebody waits at, and how many
    cdef int next_row                       # that the timer looks at
    cdef object handle                      # of the timer for a bell that was lost; None while nobody waits
    # A QueueAnswer; ``member``: what is remembered of the limit, which gets the row of a permit that came at once.
    cdef int put(self, ExchangeState x, Limit limit, Member* member) except -1
    cdef int leave(self, ExchangeState x) except -1
