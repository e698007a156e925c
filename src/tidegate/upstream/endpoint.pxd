"""One address of an upstream, with what balancing needs to know of it, and the upstream as a group of them.

How one is chosen is a subclass of ``Upstream`` in ``balance``; ``build.build_upstream`` makes the one that is configured.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.upstream.peer cimport Peer
from tidegate.upstream.pool cimport Pool

cdef class Endpoint:
    cdef readonly Peer peer
    cdef readonly Pool pool
    cdef bytes text                         # the peer's label
    cdef readonly double weight
    cdef readonly long inflight             # exchanges between pick and end
    cdef readonly uint64_t picks
    cdef readonly uint64_t failures
    cdef double ewma_ns                     # peak EWMA of time in system
    cdef uint64_t ewma_at_ns
    cdef double current_weight              # smooth weighted round robin
    cdef long owners                        # upstreams it is an endpoint of: one of the old snapshot, one of the new
    cdef bint is_out                        # ejected or removed: never picked while another is there (health: next issue)
    cdef uint64_t place                     # where consistent hashing sees it: the same in every worker and on every machine
    cdef public long served                 # answers and network failures since ``Witness`` last looked
    cdef public long lost
    cdef bytes sticky_token                 # what the sticky cookie says for this endpoint; b"" when not sticky
    cdef bytes sticky_line                  # whole Set-Cookie line for it, with CRLF
    cdef bytes sticky_line_secure           # the same for clients that came over TLS
    cdef void started(self) noexcept
    cdef void ended(self, uint64_t latency_ns, uint64_t now_ns, bint failed) noexcept    # exactly once per started
    cdef double cost_at(self, uint64_t now_ns) noexcept                 # expected time in system, with those in flight

cdef class Upstream:
    """A group of alike servers and how one of them is chosen."""
    # snapshot
    cdef readonly str name
    cdef readonly object settings           # config model
    cdef readonly bytes host_header         # authority sent when the client's host is not kept
    cdef readonly int hash_source           # which key ``pick`` wants, see HashSource; 0: none
    cdef readonly bytes hash_name           # name of the header (in lower case), cookie or query parameter
    cdef readonly bytes sticky_cookie       # b"" when not sticky
    cdef readonly uint64_t connect_timeout_ms
    cdef readonly uint64_t read_timeout_ms
    cdef object pools                       # Pools: where the claims of its endpoints are
    cdef public object discovery            # Discovery: keeps ``endpoints`` up to date, or None
    # discovery
    cdef readonly list endpoints            # Endpoint; replaced as a whole by ``replace_endpoints``
    cdef public object absence              # GatewayError: why there is no endpoint; None while there is one
    cdef readonly bint is_active            # its snapshot is or was the active one: its bounds are those of the pools
    cdef readonly bint is_closed
    # worker
    cdef uint32_t meter                     # index of its series in the meters, 0 before first use
    cdef uint64_t random_state
    # ``key_hash``: hash of the key that ``hash_source`` asked for (0 when absent). ``avoid``: endpoint not to be taken
    # if another is there (the one that just failed), or None. None is returned when there is no endpoint at all.
    cdef Endpoint pick(self, uint64_t key_hash, Endpoint avoid, uint64_t now_ns)
    cdef Endpoint by_token(self, const char* token, size_t size)        # sticky; None when unknown or out
    cdef void endpoints_changed(self)                                   # for subclasses that keep tables
    cdef uint64_t draw(self) noexcept                                   # 64 random bits

cdef enum HashSource:
    HASH_NONE = 0
    HASH_CLIENT_IP
    HASH_HEADER
    HASH_COOKIE
    HASH_PATH
    HASH_QUERY
