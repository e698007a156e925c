"""Counters and latency histograms of one worker slot in shared memory: one writer, summed by readers on demand."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum Counter:              # one 64-bit word each, never zeroed at a death
    CONNECTIONS_ACCEPTED = 0
    CONNECTIONS_OPEN            # gauge, reset when a successor takes the slot
    CONNECTIONS_REFUSED_TOTAL   # over max_connections
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
    EXCHANGES_ASYNC_BODY        # … because a body filter or buffering was needed
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
    LOG_LINES_LOST
    GC_COLLECTIONS
    GC_PAUSE_NS
    GC_PAUSE_MAX_NS
    LOOP_LAG_NS                 # gauge: last measured
    LOOP_LAG_MAX_NS
    COUNTER_COUNT

cdef enum SeriesKind:
    SERIES_ROUTE = 1
    SERIES_UPSTREAM = 2

cdef class Meters:
    """The writer's view of its slot."""
    cdef object region                      # keeps the mapping alive
    cdef uint64_t* words
    cdef void* table                        # series
    cdef uint32_t series_max
    cdef void add(self, int counter, uint64_t amount) noexcept
    cdef void take(self, int counter, uint64_t amount) noexcept
    cdef void put(self, int counter, uint64_t value) noexcept
    # Index of a series, made at first use; 0 is "other", given when the bound is reached (said once by control).
    cdef uint32_t series(self, int kind, bytes name) noexcept
    # One finished exchange: counts by status class (1xx…5xx, and 0 when no answer was sent) and one histogram entry.
    cdef void record(self, uint32_t series, int status, uint64_t duration_ns, uint64_t bytes_in, uint64_t bytes_out) noexcept
