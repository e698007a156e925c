"""Connections to one peer: bounded, waited for, compared at hand-out.

``decide`` says in one synchronous step what is to be done for a request that wants a connection; the caller acts:

    REUSE    ``Pool.chosen`` is the connection, taken out of the idle list
    DIAL     a place is yours: dial, then ``adopt`` the connection, or say ``dial_failed``
    WAIT     queue with ``Pool.wait``; the waiter is called once, with a connection or with a place to dial in
    FULL     the queue is full too
    CROSSED  this pool belongs to another peer; nothing was handed out and nothing counted but ``crossed``

Whoever got a connection ends with exactly one of ``give_back`` and ``forget``; whoever got a place, with exactly one of
``adopt`` (as soon as there is an object for it) and ``dial_failed``. Nothing scans: every call is O(1), but for the
connections it closes and the waiters it wakes.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.net.stream cimport Stream
from tidegate.upstream.peer cimport Peer

cdef class Pool

cdef class PooledConnection(Stream):
    """What a pool keeps: a stream that knows whom it is connected to."""
    cdef readonly Peer peer
    cdef Pool pool                          # set by ``adopt``, None once the pool has counted it out
    cdef readonly uint64_t serial           # identity in logs: unique in the worker
    cdef readonly uint32_t uses             # exchanges it has carried, this one included; counted at hand-out
    cdef uint64_t opened_ms
    cdef uint64_t idle_since_ms
    cdef PooledConnection idle_prev         # intrusive list of the pool's idle connections
    cdef PooledConnection idle_next
    cdef bint is_idle                       # in its pool's list
    cdef bint is_reusable(self)             # nothing unread, nothing half done, peer has not closed
    cdef void discard(self)                 # the pool wants it closed and has counted it out already; close_fd by default

cdef class Waiter:
    """Somebody who waits for a connection of a pool; ends in exactly one of the two calls, or by ``Pool.leave``."""
    cdef Waiter waiter_prev
    cdef Waiter waiter_next
    cdef bint is_waiting
    cdef uint64_t wait_deadline_ms
    cdef void connection_available(self, PooledConnection connection)   # None: room to dial. Must not raise
    cdef void wait_failed(self)                                         # timed out. Must not raise

cdef enum Decision:
    REUSE = 1
    DIAL
    WAIT
    FULL
    CROSSED

cdef class Pool:
    # process
    cdef object __weakref__
    cdef readonly Peer peer
    cdef readonly long claims               # endpoints that hold it, see ``Pools``
    cdef readonly bint is_retired           # no longer in any snapshot: nothing goes back to it
    # bounds: from the snapshot that came last
    cdef readonly long max_open
    cdef readonly long max_idle
    cdef readonly long max_waiting
    cdef readonly uint64_t wait_timeout_ms
    cdef readonly uint64_t idle_timeout_ms
    cdef readonly uint64_t max_age_ms       # 0: none
    cdef readonly uint32_t max_uses         # 0: none
    # what there is now
    cdef PooledConnection chosen
    cdef readonly long open                 # dialled or being dialled, in use or idle
    cdef readonly long dialling             # places given and not yet adopted
    cdef readonly long idle
    cdef readonly long waiting
    cdef PooledConnection idle_head         # most recently used
    cdef PooledConnection idle_tail
    cdef Waiter wait_head
    cdef Waiter wait_tail
    cdef bint is_serving                    # the queue is being served further up the stack
    # counters
    cdef readonly uint64_t dialled
    cdef readonly uint64_t dials_failed
    cdef readonly uint64_t reused
    cdef readonly uint64_t refused
    cdef readonly uint64_t timed_out
    cdef readonly uint64_t discarded        # idle or given back, and closed instead of kept
    cdef readonly uint64_t crossed          # asked or given back with another peer: a defect of the caller
    # the way of a request
    cdef int decide(self, Peer peer, uint64_t now_ms)
    cdef int wait(self, Waiter waiter, uint64_t now_ms) except -1
    cdef void leave(self, Waiter waiter)                                        # gives up its place in the queue
    cdef void adopt(self, PooledConnection connection, uint64_t now_ms)         # the connection for a DIAL
    cdef void dial_failed(self, uint64_t now_ms)                                # a DIAL came to nothing before ``adopt``
    cdef void give_back(self, PooledConnection connection, uint64_t now_ms)     # to a waiter, to the idle list, or closed
    cdef void forget(self, PooledConnection connection, uint64_t now_ms)        # it was closed, idle or not; a waiter may dial
    # the way of the worker
    cdef void expire(self, uint64_t now_ms)                                     # idle and wait time-outs, every 100 ms
    cdef void set_bounds(self, object bounds)
    cdef void retire(self)
    cdef void revive(self)
    # inside
    cdef void link_idle(self, PooledConnection connection) noexcept
    cdef void unlink_idle(self, PooledConnection connection) noexcept
    cdef void unlink_waiter(self, Waiter waiter) noexcept
    cdef bint is_worn(self, PooledConnection connection, uint64_t now_ms) noexcept
    cdef void drop(self, PooledConnection connection)
    cdef void drop_oldest(self)
    cdef PooledConnection take_idle(self, uint64_t now_ms)
    cdef void serve(self, uint64_t now_ms)
