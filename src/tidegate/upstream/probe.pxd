"""Connections and waiters that a test can script."""

from tidegate.upstream.pool cimport PooledConnection, Waiter

cdef class ProbeConnection(PooledConnection):
    cdef public bint is_fit             # what ``is_reusable`` says
    cdef public int closed              # how often the pool closed it
    cdef public object on_discard       # called with it when the pool closes it, or None

cdef class ProbeWaiter(Waiter):
    cdef public list outcomes           # connections, "dial" and "timeout", as they came
    cdef public object ended            # called with it and each outcome, or None
