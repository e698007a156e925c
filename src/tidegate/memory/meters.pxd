"""Counters and latency histograms of one worker slot in shared memory: one writer, summed by readers on demand."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum Counter:              # one 64-bit word each, never zeroed at a death
    CONNECTIONS_ACCEPTED = 0
    CONNECTIONS_OPEN            # gauge, reset when a successor takes the slot
    ACCEPT_PAUSES_FULL          # as many connections as max_connections allows
    CONNECTIONS_REFUSED_ADDRESS # over max_connections_per_address
    ACCEPT_PAUSES               # out of descriptors
    TLS_HANDSHAKES
    TLS_FAILURES
    EXCHANGES_STARTED
    EXCHANGES_OPEN              # gauge
    EXCHANGES_SYNC
    EXCHANGES_ASYNC_FILTER      # left the synchronous path because an async filter ran
    EXCHANGES_ASYNC_DIAL        # … because a connection had to be opened
    EXCHANGES_ASYNC_POOL        # … because the pool was full
    CLIENT_ABORTS
    REQUESTS_REFUSED            # malformed: 400 and its like
    UPSTREAM_DIALS
    UPSTREAM_DIAL_FAILURES
    UPSTREAM_REUSES
    UPSTREAM_RETRIES
    UPSTREAM_OPEN               # gauge
    GATEWAY_EXHAUSTED           # EADDRNOTAVAIL, EMFILE, ENOBUFS
    UPGRADES_OPEN               # gauge
    BYTES_DOWNSTREAM_IN
    BYTES_DOWNSTREAM_OUT
    BYTES_UPSTREAM_IN
    BYTES_UPSTREAM_OUT
    LOG_LINES_LOST              # not written: readers take it from the rings, where loss is counted
    GC_COLLECTIONS
    GC_PAUSE_NS
    GC_PAUSE_MAX_NS
    LOOP_LAG_NS                 # gauge: last measured
    LOOP_LAG_MAX_NS
    LOOP_LAG_RECENT_NS          # gauge: worst of this second and the one before
    UPSTREAM_WAITING            # gauge: exchanges that wait for a connection of a pool
    POOL_SHARE_MAX_PPM          # gauge: fullest pool, in use and waiting over its bound, in millionths
    QUEUE_DELAY_RECENT_NS       # gauge: longest wait to be read, or for a connection of a pool, in two seconds
    CLIENTS_ASKED               # gauge: different clients of the latest second
    CLIENTS_FAILING             # gauge: of these, the ones that were lost
    REQUESTS_UNAUTHENTICATED    # 401: no key that is known
    EXCHANGES_ASYNC_LIMIT       # left the synchronous path to wait for its turn
    SHED_LEVEL_PPM              # gauge: classes that are shed, in millionths
    COUNTER_COUNT

cdef enum SeriesKind:
    SERIES_ROUTE = 1
    SERIES_UPSTREAM = 2
    SERIES_LIMIT = 3
    SERIES_REDIS_COMMAND = 4
    SERIES_REDIS_LANE = 5
    SERIES_REDIS_KEYS = 6
    SERIES_SHED = 7             # a class of traffic, of which some is shed
    SERIES_FLEET = 8            # a limit of a whole fleet, and its store
    SERIES_CACHE = 9            # a tier of a cache

cdef enum Verdict:              # of a limit: where its series counts it, in ``classes``
    VERDICT_ADMITTED = 0
    VERDICT_REFUSED
    VERDICT_DELAYED             # admitted, after a wait
    VERDICT_WOULD_REFUSE        # in a dry run
    VERDICT_CROWDED             # counted as refused as well: there was no row for its key

cdef enum:
    METER_WORDS = 128           # room of a slot's counters; the last ones are kept for the meters themselves
    SERIES_REFUSED_AT = 120     # series that found the table full
    NAME_MAX = 63
    BUCKET_COUNT = 201          # histogram.BUCKETS
    OTHER_ROUTE = 0
    OTHER_UPSTREAM = 1
    OTHER_LIMIT = 2
    OTHER_REDIS_COMMAND = 3
    OTHER_REDIS_LANE = 4
    OTHER_REDIS_KEYS = 5
    OTHER_SHED = 6
    OTHER_FLEET = 7
    OTHER_CACHE = 8

cdef struct Series:
    # kind is stored last: whoever sees it sees the name. 1,792 bytes, of which a quiet series touches two cache lines.
    uint64_t kind               # SeriesKind; 0: free
    uint64_t name_size
    char name[64]
    uint64_t classes[6]         # exchanges by first digit of the status, 0: nothing was answered; of a limit, by Verdict;
                                # of a class, by exchange.shedding.ShedReason; of a fleet's limit, by FLEET_EVENTS
    uint64_t bytes_in
    uint64_t bytes_out
    uint64_t duration_ns        # sum
    # of an upstream only
    uint64_t failures           # connections refused, reset, timed out or silent
    uint64_t retransmits        # segments, of connections that were asked
    uint64_t rtt_ns             # gauge: latest smoothed round trip the kernel told of one of them
    # Connections open, exchanges that wait for one, endpoints asked and failing in the worker's latest second: 16 bits each
    # from the low end, each stops at its greatest value. Set back to 0 when a worker takes the slot.
    uint64_t gauges
    uint64_t buckets[201]

cdef class Meters:
    """The writer's view of its slot."""
    cdef object region                      # Mapping: keeps the mapping alive
    cdef uint64_t* words
    cdef void* table                        # Series[series_max]
    cdef uint32_t series_max
    cdef uint32_t series_used
    cdef dict index                         # (kind, name) -> index
    cdef void learn(self)
    cdef void publish(self, uint32_t at, int kind, bytes name)
    cdef void add(self, int counter, uint64_t amount) noexcept
    cdef void take(self, int counter, uint64_t amount) noexcept
    cdef void put(self, int counter, uint64_t value) noexcept
    cdef void raise_to(self, int counter, uint64_t value) noexcept     # for the maxima
    # Index of a series, made at first use. When the bound is reached: 0, "other" of the routes, or 1, "other" of the
    # upstreams (said once by control). Not for each exchange: keep the index.
    cdef uint32_t series(self, int kind, bytes name) noexcept
    # One finished exchange: counts by status class (1xx…5xx, and 0 when no answer was sent) and one histogram entry.
    cdef void record_failure(self, uint32_t series) noexcept
    cdef void record_path(self, uint32_t series, uint64_t rtt_ns, uint64_t retransmits) noexcept   # of one connection
    cdef void put_gauges(self, uint32_t series, long open, long waiting, long asked, long failing) noexcept
    cdef void record_crowded(self, uint32_t series, uint64_t times) noexcept
    cdef void record_verdict(self, uint32_t series, int verdict) noexcept
    cdef void record(self, uint32_t series, int status, uint64_t duration_ns, uint64_t bytes_in, uint64_t bytes_out) noexcept

cdef class MeterReader:
    """The reader's view of all slots."""
    cdef object region
    cdef readonly uint32_t slots
    cdef readonly uint32_t series_max
    cdef dict known                         # (kind, name) -> [(slot, index)], of ``sums``
    cdef list counted                       # by slot: how many of its series are in ``known``
    cdef const uint64_t* words_of(self, uint32_t slot) except NULL
    cdef const Series* table_of(self, uint32_t slot) except NULL
