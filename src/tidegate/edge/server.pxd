"""The data plane of one worker."""

from tidegate.exchange.context cimport Context
from tidegate.exchange.plan cimport Plan
from tidegate.edge.listener cimport Bounds
from tidegate.net.reactor cimport Reactor

cdef class Server:
    # process
    cdef readonly object loop
    cdef readonly Reactor reactor
    cdef readonly Context context
    cdef object region
    cdef int slot
    cdef object pools                       # upstream.Pools: they outlive snapshots
    cdef object ring
    cdef list inherited                     # (settings, fd) of the listeners
    cdef list listeners
    cdef list watches                       # tasks that look for renewed certificates
    cdef readonly Bounds bounds
    # snapshots
    cdef dict plans                         # prepared, by number
    cdef dict upstreams                     # what each of them claims of the pools, by number
    cdef object drained_event
    cdef object drain_handle
