"""Drives pools and balancing from Python, where tests and micro-benchmarks are written; the gateway does not import it.

The way of a request calls C methods that Python cannot see. Here they are, one function each, with connections and
waiters whose behaviour a test can script.
"""

from libc.stdint cimport uint64_t

from tidegate.upstream.balance cimport hash_key as hash_key_of
from tidegate.upstream.endpoint cimport Endpoint, Upstream
from tidegate.upstream.peer cimport Peer
from tidegate.upstream.pool cimport CROSSED, DIAL, FULL, REUSE, WAIT, Pool, PooledConnection, Waiter

DECISIONS = {REUSE: "reuse", DIAL: "dial", WAIT: "wait", FULL: "full", CROSSED: "crossed"}


cdef class ProbeConnection(PooledConnection):
    """A connection without a socket: ``is_fit`` is what ``is_reusable`` says, ``closed`` counts how often it was closed."""

    def __init__(self):
        self.is_fit = True

    cdef bint is_reusable(self):
        return self.is_fit

    cdef bint is_silent(self):
        return True

    cdef void discard(self):
        self.closed += 1
        if self.on_discard is not None:
            self.on_discard(self)

    def pretend_peer(self, Peer peer):
        """The defect that the comparison at hand-out is there for."""
        self.peer = peer

    @property
    def is_in_pool(self):
        return self.pool is not None

    def __repr__(self):
        return f"<ProbeConnection {self.serial} {self.peer!r} uses {self.uses}>"


cdef class ProbeWaiter(Waiter):
    """Calls ``ended(waiter, outcome)`` with a connection, "dial" or "timeout", and keeps what came in ``outcomes``."""

    def __init__(self, ended=None):
        self.outcomes = []
        self.ended = ended

    cdef void connection_available(self, PooledConnection connection):
        self.end("dial" if connection is None else connection)

    cdef void wait_failed(self):
        self.end("timeout")

    def end(self, outcome):
        self.outcomes.append(outcome)
        if self.ended is not None:
            self.ended(self, outcome)


def decide(Pool pool, Peer peer, uint64_t now_ms):
    """(decision, connection or None)"""
    cdef int decision = pool.decide(peer, now_ms)
    return DECISIONS[decision], pool.chosen if decision == REUSE else None


def wait(Pool pool, Waiter waiter, uint64_t now_ms):
    pool.wait(waiter, now_ms)


def leave(Pool pool, Waiter waiter):
    pool.leave(waiter)


def adopt(Pool pool, PooledConnection connection, uint64_t now_ms):
    pool.adopt(connection, now_ms)


def dial_failed(Pool pool, uint64_t now_ms):
    pool.dial_failed(now_ms)


def give_back(Pool pool, PooledConnection connection, uint64_t now_ms):
    pool.give_back(connection, now_ms)


def forget(Pool pool, PooledConnection connection, uint64_t now_ms):
    pool.forget(connection, now_ms)


def expire(Pool pool, uint64_t now_ms):
    pool.expire(now_ms)


def idle_connections(Pool pool):
    """The idle list, most recently used first, checked in both directions."""
    cdef PooledConnection connection = pool.idle_head
    forwards = []
    while connection is not None:
        forwards.append(connection)
        connection = connection.idle_next
    connection = pool.idle_tail
    backwards = []
    while connection is not None:
        backwards.append(connection)
        connection = connection.idle_prev
    assert forwards == backwards[::-1], "the idle list is broken"
    return forwards


def waiters(Pool pool):
    """The queue, first come first, checked in both directions."""
    cdef Waiter waiter = pool.wait_head
    forwards = []
    while waiter is not None:
        forwards.append(waiter)
        waiter = waiter.waiter_next
    waiter = pool.wait_tail
    backwards = []
    while waiter is not None:
        backwards.append(waiter)
        waiter = waiter.waiter_prev
    assert forwards == backwards[::-1], "the queue is broken"
    return forwards


def pick(Upstream upstream, uint64_t key_hash=0, Endpoint avoid=None, uint64_t now_ns=0):
    return upstream.pick(key_hash, avoid, now_ns)


def by_token(Upstream upstream, bytes token):
    return upstream.by_token(token, len(token))


def started(Endpoint endpoint):
    endpoint.started()


def ended(Endpoint endpoint, uint64_t latency_ns, uint64_t now_ns, bint failed=False):
    endpoint.ended(latency_ns, now_ns, failed)


def cost_at(Endpoint endpoint, uint64_t now_ns):
    return endpoint.cost_at(now_ns)


def hash_key(bytes key):
    return hash_key_of(key, len(key))


# -- loops for micro-benchmarks: n times, and nothing of Python inside --------------------------------------------------


def repeat_picks(Upstream upstream, long n):
    """``pick``, ``started`` and ``ended``, on a clock that moves by 10 µs each time."""
    cdef Endpoint endpoint
    cdef long i
    cdef uint64_t now_ns = 1_000_000_000
    for i in range(n):
        now_ns += 10_000
        endpoint = upstream.pick(<uint64_t>i * 0x9E3779B97F4A7C15ULL + 1, None, now_ns)
        endpoint.started()
        endpoint.ended(200_000 + (i & 63) * 1000, now_ns, False)


def repeat_reuse(Pool pool, long n):
    """``decide`` that finds an idle connection, and its ``give_back``."""
    cdef long i
    cdef PooledConnection connection
    for i in range(n):
        if pool.decide(pool.peer, 1000) != REUSE:
            raise RuntimeError(f"{pool!r} has nothing idle")
        connection = pool.chosen
        pool.give_back(connection, 1000)


def repeat_way(Upstream upstream, long n):
    """All that an upstream does for one request: pick, decide, started, give_back, ended."""
    cdef Endpoint endpoint
    cdef PooledConnection connection
    cdef long i
    cdef uint64_t now_ns = 1_000_000_000
    for i in range(n):
        now_ns += 10_000
        endpoint = upstream.pick(<uint64_t>i * 0x9E3779B97F4A7C15ULL + 1, None, now_ns)
        if endpoint.pool.decide(endpoint.peer, 1000) != REUSE:
            raise RuntimeError(f"{endpoint.pool!r} has nothing idle")
        connection = endpoint.pool.chosen
        endpoint.started()
        endpoint.pool.give_back(connection, 1000)
        endpoint.ended(200_000 + (i & 63) * 1000, now_ns, False)


def repeat_waits(Pool pool, long n):
    """``wait`` and ``leave`` of a full pool."""
    cdef long i
    cdef ProbeWaiter waiter = ProbeWaiter()
    for i in range(n):
        pool.wait(waiter, 1000)
        pool.leave(waiter)


def repeat_hash(bytes key, long n):
    cdef long i
    cdef uint64_t folded = 0
    for i in range(n):
        folded ^= hash_key_of(key, len(key))
    return None if folded != 1 else 0
