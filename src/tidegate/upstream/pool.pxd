"""Connections to one peer: bounded, waited for, compared at hand-out.

``decide`` says in one synchronous step what is to be done for a request that wants a connection; the caller acts.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.net.stream cimport Stream
from tidegate.upstream.peer cimport Peer

cdef class Pool

cdef class PooledConnection(Stream):
    """What a pool keeps: a stream that knows whom it is connected to."""
    cdef readonly Peer peer
    cdef Pool pool
    cdef readonly uint64_t serial           # identity in logs: unique in the worker
    cdef readonly uint32_t uses             # exchanges it has carried
    cdef uint64_t opened_ms
    cdef uint64_t idle_since_ms
    cdef PooledConnection idle_prev         # intrusive list of the pool's idle connections
    cdef PooledConnection idle_next
    cdef bint is_idle                       # in its pool's list
    cdef bint is_reusable(self)             # nothing unread, nothing half done, peer has not closed

cdef class Waiter:
    """Somebody who waits for a connection of a pool; ends in exactly one of the two calls, or by ``Pool.leave``."""
    cdef Waiter waiter_prev
    cdef Waiter waiter_next
    cdef bint is_waiting
    cdef uint64_t wait_deadline_ms
    cdef void connection_available(self, PooledConnection connection)   # None: room to dial
    cdef void wait_failed(self)                                         # timed out

cdef enum Decision:
    REUSE = 1                   # ``Pool.chosen`` is the connection, taken out of the idle list
    DIAL                        # one more may be opened; it is counted as open from now on
    WAIT                        # queue with ``Pool.wait``
    FULL                        # the queue is full too: 503

cdef class Pool:
    cdef readonly Peer peer
    cdef PooledConnection chosen
    cdef readonly long open                 # dialled or being dialled, in use or idle
    cdef readonly long idle
    cdef readonly long waiting
    # bounds
    cdef readonly long max_open
    cdef readonly long max_idle
    cdef readonly long max_waiting
    cdef readonly uint64_t wait_timeout_ms
    cdef readonly uint64_t idle_timeout_ms
    cdef readonly uint64_t max_age_ms       # 0: none
    cdef readonly uint32_t max_uses         # 0: none
    cdef readonly bint is_retired           # no longer in any snapshot: nothing goes back to it
    # counters
    cdef readonly uint64_t dialled
    cdef readonly uint64_t reused
    cdef readonly uint64_t refused
    cdef readonly uint64_t timed_out
    cdef PooledConnection idle_head         # most recently used
    cdef PooledConnection idle_tail
    cdef Waiter wait_head
    cdef Waiter wait_tail
    cdef int decide(self, Peer peer, uint64_t now_ms)
    cdef int wait(self, Waiter waiter, uint64_t now_ms) except -1
    cdef void leave(self, Waiter waiter)                                # gives up its place
    cdef void give_back(self, PooledConnection connection, uint64_t now_ms)     # to a waiter, to the idle list, or closed
    cdef void forget(self, PooledConnection connection, uint64_t now_ms)        # it was closed, idle or not; a waiter may dial now
    cdef void dial_failed(self, uint64_t now_ms)                        # a DIAL came to nothing
    cdef void expire(self, uint64_t now_ms)                             # idle and wait time-outs, called every 100 ms
