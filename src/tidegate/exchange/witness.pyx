"""What this worker sees of its peers and of waiting, told once a second; and whether the gateway suspects itself.

What is seen goes to the meters as gauges of the latest second: how many clients and endpoints had to do with us, and how
many of them failed. `observe.suspicion` adds that up over the workers. Clients are told apart by a hash of their address in
a bitmap of 512 places; how many there were follows from the empty places (linear counting: Whang, Vander-Zanden and Taylor
1990), to some percent up to a thousand. That costs a request two instructions and no memory.

How long requests wait to be read is asked of the kernel (``tcpi_last_data_recv``) for one connection in 10 ms, when an event
of a resting connection is taken up: it counts the accept queue and the queue of the event loop, which a timer does not see.
"""

from libc.math cimport log
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from tidegate.memory.atomics cimport load_relaxed
from tidegate.memory.mapping cimport Mapping
from tidegate.memory.meters cimport CLIENTS_ASKED, CLIENTS_FAILING, QUEUE_DELAY_RECENT_NS, SERIES_UPSTREAM, Meters
from tidegate.net.syscalls cimport IPPROTO_TCP, TCP_INFO, getsockopt, socklen_t, tcp_info
from tidegate.upstream.endpoint cimport Endpoint, Upstream

cdef enum:
    SUSPECTED_UNTIL_AT = 25     # word of the slot's mark, see memory.slot
    LOOKS_LEAST = 3             # fewer say nothing of all

cdef extern from *:
    int __builtin_popcountll(unsigned long long value) nogil

cdef uint64_t LOOK_PERIOD_NS = 10000000
cdef uint64_t SECOND_MS = 1000


cdef uint32_t hash_of(bytes address) noexcept:
    """FNV-1a: a few bytes, once a connection."""
    cdef uint32_t value = 2166136261
    cdef unsigned char byte
    for byte in address:
        value = (value ^ byte) * <uint32_t>16777619
    return value ^ value >> 15


cdef long count_of(const uint64_t* words) noexcept nogil:
    """How many different ones left these bits."""
    cdef int i
    cdef int taken = 0
    cdef int places = CLIENT_WORDS * 64
    for i in range(CLIENT_WORDS):
        taken += __builtin_popcountll(words[i])
    if taken >= places:
        taken = places - 1
    return <long>(-<double>places * log(1.0 - <double>taken / <double>places) + 0.5)


cdef class Witness:
    """meters: of the worker. mapping, slot: where control says whether the gateway suspects itself."""

    def __init__(self, Meters meters not None, Mapping mapping not None, uint32_t slot):
        self.meters = meters
        self.mapping = mapping
        self.told = set()
        self.suspected_until = <const uint64_t*>mapping.part("marks", slot) + <int>SUSPECTED_UNTIL_AT

    cdef bint is_suspected(self, uint64_t now_ns) noexcept:
        return load_relaxed(self.suspected_until) > now_ns

    cdef void client_failed(self, uint32_t address_hash) noexcept:
        self.client_asked(address_hash)
        self.clients_failing[address_hash >> 6 & 7] |= <uint64_t>1 << (address_hash & 63)

    cdef void look_now(self, int fd, uint64_t now_ns) noexcept:
        cdef tcp_info figures
        cdef socklen_t size = sizeof(figures)
        self.next_look_ns = now_ns + LOOK_PERIOD_NS
        memset(&figures, 0, sizeof(figures))
        if getsockopt(fd, IPPROTO_TCP, TCP_INFO, &figures, &size) == 0:
            self.waited_to_be_read(<uint64_t>figures.tcpi_last_data_recv * 1000000)

    cdef void waited_to_be_read(self, uint64_t wait_ns) noexcept:
        self.waited(wait_ns)
        if self.looks == 0 or wait_ns < self.read_wait_ns:
            self.read_wait_ns = wait_ns
        self.looks += 1

    cdef uint64_t take_read_wait(self) noexcept:
        cdef uint64_t shortest_ns = self.read_wait_ns if self.looks >= LOOKS_LEAST else 0
        self.looks = 0
        return shortest_ns

    cdef void waited(self, uint64_t wait_ns) noexcept:
        if wait_ns > self.waited_ns:
            self.waited_ns = wait_ns

    cdef void endpoint_ended(self, Endpoint endpoint, uint64_t latency_ns, uint64_t now_ns, bint failed) noexcept:
        if failed and self.is_suspected(now_ns):
            endpoint.ended(0, now_ns, False)    # nothing was measured
        else:
            endpoint.ended(latency_ns, now_ns, failed)

    def tick(self, uint64_t now_ms, upstreams):
        """Tells what was seen when a second is over; called ten times a second with the active upstreams."""
        cdef Upstream upstream
        if now_ms < self.second_ends_ms:
            return
        self.second_ends_ms = now_ms + SECOND_MS
        self.meters.put(CLIENTS_ASKED, count_of(self.clients_asked))
        self.meters.put(CLIENTS_FAILING, count_of(self.clients_failing))
        memset(self.clients_asked, 0, sizeof(self.clients_asked))
        memset(self.clients_failing, 0, sizeof(self.clients_failing))
        self.meters.put(QUEUE_DELAY_RECENT_NS, max(self.waited_ns, self.waited_before_ns))
        self.waited_before_ns = self.waited_ns
        self.waited_ns = 0
        before = self.told
        self.told = set()
        for upstream in upstreams:
            self._tell_of(upstream)
        for series in before - self.told:       # at rest, or of a snapshot that is gone
            self.meters.put_gauges(series, 0, 0, 0, 0)

    def _tell_of(self, Upstream upstream):
        cdef Endpoint endpoint
        cdef long open = 0, waiting = 0, asked = 0, failing = 0
        for endpoint in upstream.endpoints:
            open += endpoint.pool.open
            waiting += endpoint.pool.waiting
            if endpoint.served or endpoint.lost:
                asked += 1
                if endpoint.lost >= endpoint.served:
                    failing += 1
                endpoint.served = endpoint.lost = 0
        if asked or open or waiting:
            series = self.meters.series(SERIES_UPSTREAM, upstream.name.encode())
            self.meters.put_gauges(series, open, waiting, asked, failing)
            self.told.add(series)

    @property
    def suspects(self):
        """Until when the gateway suspects itself, in monotonic nanoseconds; 0: it does not."""
        return load_relaxed(self.suspected_until)

    # For tests and for Python that stands beside the request path.

    def saw_client(self, bytes address, *, bint failed=False):
        """A client had to do with us."""
        if failed:
            self.client_failed(hash_of(address))
        else:
            self.client_asked(hash_of(address))

    def saw_read(self, uint64_t wait_ns):
        """A request had waited to be read."""
        self.waited_to_be_read(wait_ns)

    def read_wait(self) -> int:
        """Nanoseconds that every request of late had waited to be read; 0 when there were too few to tell."""
        return self.take_read_wait()

    def saw_wait(self, uint64_t wait_ns):
        """Something waited for so long."""
        self.waited(wait_ns)

    def __repr__(self):
        return (
            f"<Witness {count_of(self.clients_failing)} of {count_of(self.clients_asked)} clients failed, "
            f"longest wait {self.waited_ns / 1e6:.1f} ms>"
        )
