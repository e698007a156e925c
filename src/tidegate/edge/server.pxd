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
    cdef readonly object links              # redis.Links: they outlive snapshots too
    cdef readonly object caches             # cache.Caches: so do they
    cdef readonly object stores             # limits.fleet.FleetStores: who borrows for limits of a whole fleet
    cdef object ring
    cdef object bells                       # limits.WorkerBells
    cdef list inherited                     # (settings, fd) of the listeners
    cdef list listeners
    cdef dict watches                       # tasks that look for renewed certificates, by the id of what they look after
    cdef readonly Bounds bounds
    # snapshots
    cdef dict prepared                      # preparation.Prepared by number: the active one and those that wait
    cdef list under_way                     # being prepared
    cdef list retiring                      # no longer active, with exchanges in flight
    cdef object active                      # Prepared
    # end
    cdef bint is_started
    cdef bint is_closed
    cdef object drained_event
    cdef object drain_handle
