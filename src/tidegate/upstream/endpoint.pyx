"""One address of an upstream, with what balancing needs to know of it, and the upstream as a group of them.

``Endpoint.ewma_ns`` is Finagle's peak EWMA: a sample above the mean becomes the mean at once, one below draws it down
slowly, and silence lets it fall, so that an endpoint which was slow is tried again. Weights are by time, not by sample:
w = exp(-dt / tau). (Finagle, ``PeakEwma.scala``; the shape is that of the Linux load average.) Two additions: an
endpoint that is asked for the first time gets one request, not all of them, until it has answered; and a failure is a
sample of several times the mean, because a server that refuses in 50 µs must not look like the fastest of all.
"""

from hashlib import blake2b

from libc.math cimport exp
from libc.string cimport memcmp

from dataclasses import dataclass

# What ``hash_key`` of the configuration begins with, for Python.
HASH_SOURCES = {
    "client.ip": HASH_CLIENT_IP,
    "header": HASH_HEADER,
    "cookie": HASH_COOKIE,
    "path": HASH_PATH,
    "query": HASH_QUERY,
}

cdef enum:
    FAILURE_FACTOR = 4

cdef double TAU_NS = 10e9               # Finagle's default: what was 10 s ago counts 37 %
cdef double UNKNOWN_COST = 1e18         # more than any cost that was measured
cdef double FAILURE_LEAST_NS = 10e6
cdef double FAILURE_MOST_NS = 10e9


cdef inline double decay(uint64_t since_ns, uint64_t now_ns) noexcept nogil:
    cdef double age
    if now_ns <= since_ns:
        return 1.0
    age = <double>(now_ns - since_ns) / TAU_NS
    return 1.0 - age if age < 1e-3 else exp(-age)       # the usual case is milliseconds, where both are the same


@dataclass(frozen=True)
class EndpointStatistics:
    """What this worker knows of one endpoint."""

    peer: str
    weight: float
    inflight: int
    picks: int
    failures: int
    ewma_ms: float
    is_out: bool


cdef class Endpoint:
    """One address of an upstream.

    ``pool`` is the claimed pool of its peer. ``sticky`` is (token, Set-Cookie line, the same for TLS), see ``sticky``.
    """

    def __init__(self, Pool pool not None, double weight=1.0, tuple sticky=(b"", b"", b"")):
        if not weight > 0:
            raise ValueError(f"a weight is more than 0, got {weight}")
        self.peer = pool.peer
        self.pool = pool
        self.weight = weight
        self.text = self.peer.label.encode()
        # Of the address alone: the same in every process, on every machine, and whatever else is configured.
        self.place = int.from_bytes(blake2b(self.text, digest_size=8).digest(), "little")
        self.sticky_token, self.sticky_line, self.sticky_line_secure = sticky

    cdef void started(self) noexcept:
        self.inflight += 1
        self.picks += 1

    cdef void ended(self, uint64_t latency_ns, uint64_t now_ns, bint failed) noexcept:
        """Ends what ``started`` began.

        latency_ns: time in system, 0 when nothing was measured. failed: by the endpoint's fault, not by the client's or
        the gateway's.
        """
        cdef double weight = decay(self.ewma_at_ns, now_ns)
        cdef double mean = self.ewma_ns * weight
        cdef double sample = <double>latency_ns
        if self.inflight > 0:
            self.inflight -= 1
        if failed:
            self.failures += 1
            sample = max(sample, FAILURE_LEAST_NS, min(FAILURE_FACTOR * mean, FAILURE_MOST_NS))
        elif latency_ns == 0:
            return      # a client that left before it was served must not make the endpoint look fast
        self.ewma_ns = sample if sample >= mean else mean + sample * (1.0 - weight)
        if now_ns > self.ewma_at_ns:
            self.ewma_at_ns = now_ns

    cdef double cost_at(self, uint64_t now_ns) noexcept:
        """Expected time in system of one more request, over weight. 0: never asked and idle."""
        if self.ewma_ns == 0.0:
            return UNKNOWN_COST + <double>self.inflight if self.inflight != 0 else 0.0
        return self.ewma_ns * decay(self.ewma_at_ns, now_ns) * <double>(self.inflight + 1) / self.weight

    @property
    def is_available(self):
        """False when it is ejected or no longer an address of its upstream."""
        return not self.is_out

    @property
    def cookie_token(self):
        """What the sticky cookie says for this endpoint; b"" when the upstream is not sticky."""
        return self.sticky_token

    @property
    def sticky(self):
        """The token of its cookie and the two lines that set it."""
        return self.sticky_token, self.sticky_line, self.sticky_line_secure

    def learn_from(self, Endpoint other not None):
        """What is known of ``other``, the same server under other settings, is known of this one."""
        self.ewma_ns = other.ewma_ns
        self.ewma_at_ns = other.ewma_at_ns
        self.current_weight = other.current_weight
        self.failures = other.failures
        self.picks = other.picks

    def take_out(self):
        """Nothing is sent to it while another is there."""
        self.is_out = True

    def put_back(self):
        self.is_out = False

    def statistics(self):
        return EndpointStatistics(
            self.peer.label, self.weight, self.inflight, self.picks, self.failures, self.ewma_ns / 1e6, self.is_out
        )

    def __repr__(self):
        out = ", out" if self.is_out else ""
        ewma_ms = self.ewma_ns / 1e6
        return f"<Endpoint {self.peer.label} weight {self.weight:g}, inflight {self.inflight}, ewma {ewma_ms:.3f} ms{out}>"


cdef class Upstream:
    """A group of alike servers and how one of them is chosen.

    ``pools`` (``Pools``) holds the claims of its endpoints, which ``replace_endpoints`` and ``close`` give up. ``seed``
    differs by worker, so that workers started together do not all begin with the same endpoint.
    """

    def __init__(
        self,
        str name not None,
        *,
        settings=None,
        pools=None,
        uint64_t seed=0,
        bytes host_header=b"",
        int hash_source=HASH_NONE,
        bytes hash_name=b"",
        bytes sticky_cookie=b"",
        uint64_t connect_timeout_ms=2000,
        uint64_t read_timeout_ms=30000,
        bint is_active=True,
    ):
        self.name = name
        self.settings = settings
        self.pools = pools
        self.random_state = seed
        self.host_header = host_header
        self.hash_source = hash_source
        self.hash_name = hash_name
        self.sticky_cookie = sticky_cookie
        self.connect_timeout_ms = connect_timeout_ms
        self.read_timeout_ms = read_timeout_ms
        self.is_active = is_active
        self.endpoints = []

    cdef Endpoint pick(self, uint64_t key_hash, Endpoint avoid, uint64_t now_ns):
        raise NotImplementedError("how an endpoint is chosen is a subclass: see tidegate.upstream.balance")

    cdef void endpoints_changed(self):
        pass

    cdef Endpoint by_token(self, const char* token, size_t size):
        """The endpoint that a sticky cookie names; None when it names none, or one that is out."""
        cdef Endpoint endpoint
        for endpoint in self.endpoints:
            if (
                size == <size_t>len(endpoint.sticky_token)
                and size != 0
                and memcmp(token, <const char*>endpoint.sticky_token, size) == 0
            ):
                return None if endpoint.is_out else endpoint
        return None

    cdef uint64_t draw(self) noexcept:
        """splitmix64 (Steele, Lea, Flood 2014): one multiply-xor chain, state of its own, good enough for choosing."""
        cdef uint64_t z
        self.random_state += 0x9E3779B97F4A7C15ULL
        z = self.random_state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL
        return z ^ (z >> 31)

    def replace_endpoints(self, list endpoints not None):
        """Puts ``endpoints``, whose pools are claimed, in the place of those there are, in one assignment.

        Those that are in both stay the same objects, with all that is known of them; the claims of those that are gone
        are given up. After ``close`` the claims of the new ones are given up too.
        """
        cdef Endpoint endpoint
        cdef list before = self.endpoints
        if self.is_closed:
            self.let_go(endpoints)
            return
        kept = {id(endpoint) for endpoint in endpoints}
        held = {id(endpoint) for endpoint in before}
        for endpoint in endpoints:
            if id(endpoint) not in held:
                endpoint.owners += 1
        self.endpoints = endpoints
        self.endpoints_changed()
        gone = [endpoint for endpoint in before if id(endpoint) not in kept]
        for endpoint in gone:
            endpoint.owners -= 1
        self.let_go(gone)

    def let_go(self, list endpoints):
        """Gives up the claims of ``endpoints``, which are no longer this upstream's."""
        cdef Endpoint endpoint
        for endpoint in endpoints:
            if endpoint.owners == 0:
                endpoint.is_out = True
            if self.pools is not None:
                self.pools.release(endpoint.pool)

    def activate(self):
        """Its snapshot has become the active one: the pools of its endpoints have its bounds from here on."""
        cdef Endpoint endpoint
        self.is_active = True
        for endpoint in self.endpoints:
            endpoint.pool.set_bounds(self.settings.pool)

    def follow(self, Upstream before not None):
        """Takes up where ``before``, the upstream of that name in the snapshot before, is."""
        self.random_state = before.random_state

    def close(self):
        """Its snapshot is gone: discovery ends, and pools that nobody else claims are retired.

        Exchanges that are still under way keep what they have: endpoints stay usable, connections are closed when they
        are given back.
        """
        cdef Endpoint endpoint
        if self.is_closed:
            return
        self.is_closed = True
        if self.discovery is not None:
            self.discovery.stop()
            self.discovery = None
        for endpoint in self.endpoints:
            endpoint.owners -= 1
            if self.pools is not None:
                self.pools.release(endpoint.pool)

    def statistics(self):
        """Statistics of every endpoint."""
        return tuple(endpoint.statistics() for endpoint in self.endpoints)

    def __repr__(self):
        cdef Endpoint endpoint
        cdef long usable = 0
        cdef long inflight = 0
        for endpoint in self.endpoints:
            usable += not endpoint.is_out
            inflight += endpoint.inflight
        absence = f", {self.absence}" if self.absence is not None else ""
        return f"<{type(self).__name__} {self.name} endpoints {usable}/{len(self.endpoints)}, inflight {inflight}{absence}>"
