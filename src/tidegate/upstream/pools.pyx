"""The worker's pools, by peer; they outlive every snapshot.

A pool belongs to a peer, not to an upstream: a reload that changes a route, or moves a server from one upstream to
another, keeps the connections. Whoever may send to a peer holds a claim on its pool; when the last claim goes, the pool
is retired: idle connections are closed at once, the others when they are given back.
"""

from weakref import WeakValueDictionary

from libc.stdint cimport uint64_t

from tidegate.upstream.peer cimport Peer
from tidegate.upstream.pool cimport Pool


cdef class Pools:
    """Every pool of this worker. ``expire`` is called every 100 ms (``Reactor.add_tick_hook``)."""

    def __cinit__(self):
        self.claimed = {}
        self.retired = WeakValueDictionary()

    cpdef Pool get(self, Peer peer, object bounds, bint keeps_bounds=False):
        """Claims the pool for ``peer``, made if there is none; its bounds become ``bounds``.

        Two upstreams that share a peer share its pool, with the bounds that came last. The peer of the pool that is
        returned is the one to ask with: comparing it is one pointer compare. keeps_bounds: a pool that somebody claims
        already stays as it is, for a snapshot that is not active yet.
        """
        cdef Pool pool = self.claimed.get(peer)
        if pool is None:
            pool = self.retired.pop(peer, None)
            if pool is None:
                pool = Pool(peer, bounds)
            else:
                pool.revive()
            self.claimed[pool.peer] = pool
        if not keeps_bounds or pool.claims == 0:
            pool.set_bounds(bounds)
        pool.claims += 1
        return pool

    cpdef release(self, Pool pool):
        """Gives up one claim; the last one retires the pool."""
        if pool.claims <= 0 or self.claimed.get(pool.peer) is not pool:
            raise RuntimeError(f"{pool!r} is not claimed")
        pool.claims -= 1
        if pool.claims == 0:
            del self.claimed[pool.peer]
            # Not forgotten while an exchange of an older snapshot may still use it: its waiters have time-outs too, and
            # a peer that comes back must not get a second pool beside the first.
            self.retired[pool.peer] = pool
            pool.retire()

    cpdef expire(self, uint64_t now_ms):
        """Ends overdue waits and closes overdue connections in every pool."""
        cdef Pool pool
        for pool in list(self.claimed.values()):
            pool.expire(now_ms)
        if self.retired:
            for pool in list(self.retired.values()):
                pool.expire(now_ms)

    cpdef long count_open(self):
        """Connections that are open or being dialled, in all pools."""
        cdef Pool pool
        cdef long total = 0
        for pool in self.claimed.values():
            total += pool.open
        if self.retired:
            for pool in list(self.retired.values()):
                total += pool.open
        return total

    cpdef long count_waiting(self):
        """Exchanges that wait for a connection, in all pools."""
        cdef Pool pool
        cdef long total = 0
        for pool in self.claimed.values():
            total += pool.waiting
        return total

    cpdef long fullest_ppm(self):
        """Connections in use and exchanges that wait for one, over what the pool may have: of the fullest, in millionths."""
        cdef Pool pool
        cdef long share, fullest = 0
        for pool in self.claimed.values():
            share = (pool.open - pool.idle + pool.waiting) * 1_000_000 // max(pool.max_open, 1)
            if share > fullest:
                fullest = share
        return fullest

    def close(self):
        """Closes every idle connection and retires every pool: the worker stops."""
        cdef Pool pool
        for pool in list(self.claimed.values()):
            pool.retire()

    def __iter__(self):
        return iter([*self.claimed.values(), *self.retired.values()])

    def __len__(self):
        return len(self.claimed)

    def statistics(self):
        """Statistics of every pool, those retired but still in use at the end."""
        return tuple(pool.statistics() for pool in self)

    def __repr__(self):
        cdef Pool pool
        cdef long open = 0
        cdef long idle = 0
        for pool in self:
            open += pool.open
            idle += pool.idle
        return f"<Pools {len(self.claimed)} peers, {len(self.retired)} retired, open {open}, idle {idle}>"
