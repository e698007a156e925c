"""Exchanges that wait for a permit to be in flight."""

from tidegate.exchange.state cimport ExchangeState
from tidegate.limits.limit cimport Limit

cdef enum QueueAnswer:
    NO_PLACE = 0
    ADMITTED                    # a permit came free in the same moment
    QUEUED

cdef class PermitQueue:
    cdef object reactor                     # net.Reactor
    cdef int fd                             # the bell of this worker's slot; -1: none
    cdef dict waiting                       # waiter to (limits.Limit, exchange, its number)
    cdef dict limits                        # those that somebody waits for, and how many
    cdef object handle                      # of the timer for a bell that was lost; None while nobody waits
    cdef int put(self, ExchangeState x, Limit limit) except -1          # a QueueAnswer
    cdef int leave(self, ExchangeState x) except -1
