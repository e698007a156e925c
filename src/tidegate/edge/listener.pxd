"""A listening socket of this worker: accepts, counts, pauses."""

from libc.stdint cimport uint64_t

from tidegate.edge.connection cimport Connection
from tidegate.edge.connection_settings cimport ConnectionSettings
from tidegate.exchange.context cimport Context
from tidegate.net.reactor cimport Channel

cdef class Bounds:
    """How many connections the worker may have; shared by its listeners."""
    # snapshot
    cdef readonly long max_open
    cdef readonly long max_per_address      # 0: none
    # now
    cdef readonly long open
    cdef dict by_address
    cdef list listeners                     # those that wait for room

cdef class Listener(Channel):
    cdef Context context
    cdef Bounds bounds
    cdef ConnectionSettings settings
    cdef object source                      # what they were made from: config.Listener
    cdef object tls                         # edge.tls server context source, or None
    cdef readonly str label
    cdef bint is_unix
    cdef bint is_accepting
    cdef bint is_paused                     # out of descriptors, or at the bound
    cdef object connections                 # set of open ones, for the end of a drain
    cdef readonly uint64_t accepted
    cdef int count(self, Connection connection) except -1
    cdef bint _accept(self)
    cdef void _pause(self, double seconds)
