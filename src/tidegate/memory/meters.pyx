"""Counters and latency histograms of the worker slots.

Rules:

1. A slot has one writer: plain stores, no locked instruction (about 1 ns a count). Readers in other processes sum
   the slots and never write.
2. Counters are never zeroed: a worker that takes over a slot goes on where the dead one stopped, finds its series
   again by name, and sets only the gauges back to 0 (what the dead one had open is closed).
3. A series is published by its kind, stored last: a writer that dies while it makes one leaves a free place.
4. The number of series is bounded. What finds no place counts as "other", so a label never grows without bound.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from tidegate.memory.atomics cimport add_single_writer, load_acquire, load_relaxed, store_relaxed, store_release
from tidegate.memory.mapping cimport Mapping

from typing import NamedTuple
from zlib import crc32

from tidegate.memory.histogram import BUCKETS
from tidegate.memory.log_ring import LogReader

SERIES_SIZE = sizeof(Series)
METERS_SIZE = METER_WORDS * 8

COUNTER_NAMES = (
    "connections_accepted", "connections_open", "accept_pauses_full", "connections_refused_address",
    "accept_pauses", "tls_handshakes", "tls_failures", "exchanges_started", "exchanges_open", "exchanges_sync",
    "exchanges_async_filter", "exchanges_async_dial", "exchanges_async_pool", "client_aborts",
    "requests_refused", "upstream_dials", "upstream_dial_failures", "upstream_reuses", "upstream_retries",
    "upstream_open", "gateway_exhausted", "upgrades_open", "bytes_downstream_in", "bytes_downstream_out",
    "bytes_upstream_in", "bytes_upstream_out", "log_lines_lost", "gc_collections", "gc_pause_ns", "gc_pause_max_ns",
    "loop_lag_ns", "loop_lag_max_ns", "loop_lag_recent_ns", "upstream_waiting", "pool_share_max_ppm",
    "queue_delay_recent_ns", "clients_asked", "clients_failing", "requests_unauthenticated",
    "exchanges_async_limit", "shed_level_ppm",
)
"""Names of the counters, in the order of the enum ``Counter``."""

GAUGES = frozenset({
    "connections_open", "exchanges_open", "upstream_open", "upgrades_open", "gc_pause_max_ns", "loop_lag_ns",
    "loop_lag_max_ns", "loop_lag_recent_ns", "upstream_waiting", "pool_share_max_ppm",
    "queue_delay_recent_ns", "clients_asked", "clients_failing", "shed_level_ppm",
})
"""Counters that go down: set back to 0 when a worker takes the slot."""

KIND_NAMES = {
    SERIES_ROUTE: "route", SERIES_UPSTREAM: "upstream", SERIES_LIMIT: "limit", SERIES_REDIS_COMMAND: "redis_command",
    SERIES_REDIS_LANE: "redis_lane", SERIES_REDIS_KEYS: "redis_keys", SERIES_SHED: "shed",
    SERIES_FLEET: "fleet", SERIES_CACHE: "cache",
}
OTHERS = {
    SERIES_ROUTE: OTHER_ROUTE, SERIES_UPSTREAM: OTHER_UPSTREAM, SERIES_LIMIT: OTHER_LIMIT,
    SERIES_REDIS_COMMAND: OTHER_REDIS_COMMAND, SERIES_REDIS_LANE: OTHER_REDIS_LANE, SERIES_REDIS_KEYS: OTHER_REDIS_KEYS,
    SERIES_SHED: OTHER_SHED, SERIES_FLEET: OTHER_FLEET,
    SERIES_CACHE: OTHER_CACHE,
}

VERDICTS = ("admitted", "refused", "delayed", "would_refuse")
"""What the classes of a limit's series count, in this order."""

SHED_REASON_NAMES = ("loop_lag", "memory", "in_flight")
"""The same of a class of traffic that is shed."""

FLEET_EVENTS = ("asked", "failed", "borrowed", "returned", "self_lent")
"""The same of a limit of a whole fleet: questions to its store, those that failed; credits borrowed, given back, self-lent."""

CROWDED_AT = VERDICT_CROWDED
"""Which of the classes of a limit's series counts requests that were refused for want of a row of permits."""

assert len(COUNTER_NAMES) == COUNTER_COUNT and BUCKETS == BUCKET_COUNT and SERIES_SIZE % 64 == 0


class SeriesTotals(NamedTuple):
    """One series, summed over the slots asked for."""

    kind: str
    name: str
    classes: tuple[int, ...]
    bytes_in: int
    bytes_out: int
    duration_ns: int
    buckets: tuple[int, ...]


class SeriesSums(NamedTuple):
    """One series without its histogram; ``endpoints_…`` and ``rtt_ns`` are the greatest of a slot, the rest is summed."""

    kind: str
    name: str
    exchanges: int
    bytes_in: int
    bytes_out: int
    duration_ns: int
    failures: int
    retransmits: int
    rtt_ns: int
    open: int
    waiting: int
    endpoints_asked: int
    endpoints_failing: int


class MeterTotals(NamedTuple):
    """All counters and series, summed over the slots asked for."""

    counters: dict[str, int]
    series: list[SeriesTotals]
    series_refused: int


cdef inline uint32_t bucket_of(uint64_t duration_ns) noexcept nogil:
    cdef uint64_t us = duration_ns / 1000
    cdef int exponent
    if us < 8:
        return <uint32_t>us
    exponent = 63 - __builtin_clzll(us)
    if exponent >= 27:
        return BUCKET_COUNT - 1
    return <uint32_t>(((exponent - 3) << 3) + (us >> (exponent - 3)))

cdef extern from *:
    int __builtin_clzll(unsigned long long value) nogil


cdef inline uint64_t stopped_at(long value, uint64_t greatest) noexcept nogil:
    return 0 if value < 0 else min(<uint64_t>value, greatest)


cdef inline bytes short_name(bytes name):
    # Two long names that begin alike stay two series.
    if len(name) <= NAME_MAX:
        return name
    return name[: NAME_MAX - 9] + b"~%08x" % crc32(name)


cdef class Meters:
    def __cinit__(self, Mapping mapping, uint32_t slot):
        cdef uint32_t i
        self.region = mapping
        self.words = <uint64_t*>mapping.part("meters", slot)
        if mapping.part_size("meters") < METERS_SIZE:
            raise ValueError("the region's section 'meters' is too small for this program")
        self.table = mapping.part("series", slot)
        self.series_max = <uint32_t>(mapping.part_size("series") / sizeof(Series))
        if self.series_max < len(OTHERS):
            raise ValueError("the region has no room for series")
        self.index = {}
        for i, name in enumerate(COUNTER_NAMES):
            if name in GAUGES:
                store_relaxed(self.words + i, 0)
        for kind, at in OTHERS.items():
            self.publish(at, kind, b"other")
        self.series_used = len(OTHERS)
        self.learn()

    cdef void learn(self):
        # Series there are already: made by a worker that died, or through another view in this process.
        cdef Series* one
        while self.series_used < self.series_max:
            one = <Series*>self.table + self.series_used
            if load_acquire(&one.kind) == 0:
                break
            store_relaxed(&one.gauges, 0)
            store_relaxed(&one.rtt_ns, 0)
            self.index[(<int>one.kind, <bytes>one.name[: one.name_size])] = self.series_used
            self.series_used += 1

    cdef void publish(self, uint32_t at, int kind, bytes name):
        cdef Series* one = <Series*>self.table + at
        if load_acquire(&one.kind) == 0:
            memset(one.name, 0, sizeof(one.name))
            memcpy(one.name, <const char*>name, len(name))
            one.name_size = len(name)
            store_release(&one.kind, kind)
        self.index[(kind, name)] = at

    cdef void add(self, int counter, uint64_t amount) noexcept:
        add_single_writer(self.words + counter, amount)

    cdef void take(self, int counter, uint64_t amount) noexcept:
        store_relaxed(self.words + counter, load_relaxed(self.words + counter) - amount)

    cdef void put(self, int counter, uint64_t value) noexcept:
        store_relaxed(self.words + counter, value)

    cdef void raise_to(self, int counter, uint64_t value) noexcept:
        if value > load_relaxed(self.words + counter):
            store_relaxed(self.words + counter, value)

    cdef uint32_t series(self, int kind, bytes name) noexcept:
        name = short_name(name)
        key = (kind, name)
        found = self.index.get(key)
        if found is None:
            self.learn()
            found = self.index.get(key)
        if found is not None:
            return found
        if self.series_used >= self.series_max:
            add_single_writer(self.words + <int>SERIES_REFUSED_AT, 1)
            at = OTHERS[kind]
            self.index[key] = at
            return at
        self.publish(self.series_used, kind, name)
        self.series_used += 1
        return self.series_used - 1

    cdef void record_crowded(self, uint32_t series, uint64_t times) noexcept:
        add_single_writer(
            &(<Series*>self.table + (series if series < self.series_max else OTHER_LIMIT)).classes[<int>VERDICT_CROWDED], times
        )

    cdef void record_verdict(self, uint32_t series, int verdict) noexcept:
        add_single_writer(&(<Series*>self.table + (series if series < self.series_max else OTHER_LIMIT)).classes[verdict], 1)

    cdef void record(self, uint32_t series, int status, uint64_t duration_ns, uint64_t bytes_in, uint64_t bytes_out) noexcept:
        cdef Series* one = <Series*>self.table + (series if series < self.series_max else 0)
        cdef unsigned int status_class = <unsigned int>status / 100
        if status_class > 5:
            status_class = 5 if status > 0 else 0
        add_single_writer(&one.classes[status_class], 1)
        add_single_writer(&one.duration_ns, duration_ns)
        add_single_writer(&one.buckets[bucket_of(duration_ns)], 1)
        if bytes_in:
            add_single_writer(&one.bytes_in, bytes_in)
        if bytes_out:
            add_single_writer(&one.bytes_out, bytes_out)

    cdef void record_failure(self, uint32_t series) noexcept:
        cdef Series* one = <Series*>self.table + (series if series < self.series_max else OTHER_UPSTREAM)
        add_single_writer(&one.failures, 1)

    cdef void record_path(self, uint32_t series, uint64_t rtt_ns, uint64_t retransmits) noexcept:
        cdef Series* one = <Series*>self.table + (series if series < self.series_max else OTHER_UPSTREAM)
        store_relaxed(&one.rtt_ns, rtt_ns)
        if retransmits:
            add_single_writer(&one.retransmits, retransmits)

    cdef void put_gauges(self, uint32_t series, long open, long waiting, long asked, long failing) noexcept:
        cdef Series* one = <Series*>self.table + (series if series < self.series_max else OTHER_UPSTREAM)
        store_relaxed(
            &one.gauges,
            stopped_at(open, 0xFFFF) | stopped_at(waiting, 0xFFFF) << 16 | stopped_at(asked, 0xFFFF) << 32
            | stopped_at(failing, 0xFFFF) << 48,
        )

    # The same for Python code off the request path (tests, control's own counters, quiet corners of a worker).

    def count(self, name: str, amount: int = 1) -> None:
        """Adds to the counter ``name``, one of ``COUNTER_NAMES``."""
        self.add(COUNTER_NAMES.index(name), amount)

    def set(self, name: str, value: int) -> None:
        """Sets the gauge ``name``, one of ``GAUGES``."""
        if name not in GAUGES:
            raise ValueError(f"{name} is a counter, not a gauge; counters only grow")
        self.put(COUNTER_NAMES.index(name), value)

    def series_index(self, kind: str, name: str) -> int:
        """Index of the series of one of ``KIND_NAMES``, made at first use; those of ``OTHERS`` are "other"."""
        return self.series({name: number for number, name in KIND_NAMES.items()}[kind], name.encode())

    def record_exchange(self, series: int, status: int, duration_ns: int, bytes_in: int = 0, bytes_out: int = 0,
                        times: int = 1) -> None:
        """Counts ``times`` finished exchanges in a series."""
        cdef uint32_t at = series
        cdef int status_code = status
        cdef uint64_t took = duration_ns, size_in = bytes_in, size_out = bytes_out
        cdef long i
        for i in range(<long>times):
            self.record(at, status_code, took, size_in, size_out)

    def add_to_series(self, series: int, *, classes, duration_ns: int = 0, bytes_in: int = 0, bytes_out: int = 0,
                      buckets=()) -> None:
        """Adds what was counted elsewhere: to each of the six classes, and to each bucket of the histogram, if given."""
        cdef uint32_t at = series
        cdef Series* one
        cdef int i
        if at >= self.series_max:
            raise IndexError(f"there is no series {series}")
        one = <Series*>self.table + at
        for i in range(6):
            add_single_writer(&one.classes[i], classes[i])
        add_single_writer(&one.duration_ns, duration_ns)
        add_single_writer(&one.bytes_in, bytes_in)
        add_single_writer(&one.bytes_out, bytes_out)
        for i in range(min(<int>len(buckets), <int>BUCKET_COUNT)):
            if buckets[i]:
                add_single_writer(&one.buckets[i], buckets[i])

    def set_gauges(self, series: int, open: int, waiting: int, asked: int) -> None:
        """Sets what goes up and down; each stops at 65,535."""
        self.put_gauges(series, open, waiting, asked, 0)

    def record_limit(self, series: int, verdict: str, times: int = 1) -> None:
        """Counts verdicts of a limit, one of ``VERDICTS``, or "crowded"."""
        for _ in range(times):
            self.record_verdict(series, VERDICT_CROWDED if verdict == "crowded" else VERDICTS.index(verdict))

    def record_upstream(
        self, series: int, *, failures: int = 0, rtt_ns: int = 0, retransmits: int = 0, open: int = 0, waiting: int = 0,
        asked: int = 0, failing: int = 0,
    ) -> None:
        """Everything that is told of an upstream beside its exchanges."""
        cdef uint32_t at = series
        cdef long i
        for i in range(<long>failures):
            self.record_failure(at)
        self.record_path(at, rtt_ns, retransmits)
        self.put_gauges(at, open, waiting, asked, failing)

    def __repr__(self):
        return f"<Meters {self.series_used} of {self.series_max} series>"


cdef class MeterReader:
    def __cinit__(self, Mapping mapping):
        self.region = mapping
        self.slots = mapping.slots
        self.series_max = <uint32_t>(mapping.part_size("series") / sizeof(Series))
        self.known = {}
        self.counted = [0] * mapping.slots

    cdef const uint64_t* words_of(self, uint32_t slot) except NULL:
        return <const uint64_t*>(<Mapping>self.region).part("meters", slot)

    cdef const Series* table_of(self, uint32_t slot) except NULL:
        return <const Series*>(<Mapping>self.region).part("series", slot)

    def counters(self, slot: int | None = None) -> dict[str, int]:
        """Counters by name, of one slot or summed; a maximum (``…_max_ns``), a lag and a delay are the greatest, not the sum."""
        totals = dict.fromkeys(COUNTER_NAMES, 0)
        lost = 0
        for at in range(self.slots) if slot is None else (slot,):
            words = self.words_of(at)
            for i, name in enumerate(COUNTER_NAMES):
                value = <int64_t>load_relaxed(words + <int>i)   # signed: a gauge taken too often shows as -1
                totals[name] = max(totals[name], value) if "max" in name or "lag" in name or "delay" in name else totals[name] + value
            lost += LogReader(self.region, at).lost
        totals["log_lines_lost"] = lost
        return totals

    @property
    def series_refused(self) -> int:
        """Series that found the table full and count as "other"."""
        cdef uint64_t total = 0
        for slot in range(self.slots):
            total += load_relaxed(self.words_of(slot) + <int>SERIES_REFUSED_AT)
        return total

    def places(self, slot: int | None = None) -> dict[tuple[str, str], list[tuple[int, int]]]:
        """(kind, name) of every series there is → where it lies: (slot, index)."""
        cdef uint32_t i
        cdef const Series* one
        found: dict = {}
        for at in range(self.slots) if slot is None else (slot,):
            table = self.table_of(at)
            for i in range(self.series_max):
                one = table + i
                kind = load_acquire(&one.kind)
                if kind == 0:
                    break
                name = (<bytes>(<const char*>one.name)[: min(one.name_size, <uint64_t>NAME_MAX)]).decode("utf-8", "replace")
                found.setdefault((KIND_NAMES.get(kind, "unknown"), name), []).append((at, i))
        return found

    def known_places(self) -> dict[tuple[str, str], list[tuple[int, int]]]:
        """The same as it was when ``sums`` was asked last, without reading names again."""
        return self.known

    def sums(self) -> list[SeriesSums]:
        """Every series without its histogram. Names are read once: a series stays where it is."""
        cdef const Series* one
        cdef uint32_t at, slot
        cdef int i
        cdef uint64_t word, exchanges, bytes_in, bytes_out, duration_ns, failures, retransmits, rtt_ns, open, waiting
        cdef uint64_t asked, failing
        for slot in range(self.slots):
            table = self.table_of(slot)
            for at in range(self.counted[slot], self.series_max):
                one = table + at
                kind = load_acquire(&one.kind)
                if kind == 0:
                    break
                name = (<bytes>(<const char*>one.name)[: min(one.name_size, <uint64_t>NAME_MAX)]).decode("utf-8", "replace")
                self.known.setdefault((KIND_NAMES.get(kind, "unknown"), name), []).append((slot, at))
                self.counted[slot] = at + 1
        found = []
        for (kind_name, name), places in self.known.items():
            exchanges = bytes_in = bytes_out = duration_ns = failures = retransmits = rtt_ns = open = waiting = 0
            asked = failing = 0
            for slot, at in places:
                one = self.table_of(slot) + at
                for i in range(6):
                    exchanges += load_relaxed(&one.classes[i])
                bytes_in += load_relaxed(&one.bytes_in)
                bytes_out += load_relaxed(&one.bytes_out)
                duration_ns += load_relaxed(&one.duration_ns)
                failures += load_relaxed(&one.failures)
                retransmits += load_relaxed(&one.retransmits)
                rtt_ns = max(rtt_ns, load_relaxed(&one.rtt_ns))
                word = load_relaxed(&one.gauges)
                open += word & 0xFFFF
                waiting += word >> 16 & 0xFFFF
                asked = max(asked, word >> 32 & 0xFFFF)
                failing = max(failing, word >> 48)
            found.append(SeriesSums(
                kind_name, name, exchanges, bytes_in, bytes_out, duration_ns, failures, retransmits, rtt_ns, open, waiting,
                asked, failing,
            ))
        return found

    def read(self, kind: str, name: str, places: list[tuple[int, int]]) -> SeriesTotals:
        """Sums one series over the places given by ``places``."""
        cdef uint64_t classes[6]
        cdef uint64_t sums[3]
        cdef uint64_t buckets[BUCKET_COUNT]
        cdef const Series* one
        cdef int i
        cdef uint32_t slot, index
        memset(classes, 0, sizeof(classes))
        memset(sums, 0, sizeof(sums))
        memset(buckets, 0, sizeof(buckets))
        for slot, index in places:
            if index >= self.series_max:
                raise IndexError(f"there is no series {index}")
            one = self.table_of(slot) + index
            for i in range(6):
                classes[i] += load_relaxed(&one.classes[i])
            sums[0] += load_relaxed(&one.bytes_in)
            sums[1] += load_relaxed(&one.bytes_out)
            sums[2] += load_relaxed(&one.duration_ns)
            for i in range(BUCKET_COUNT):
                buckets[i] += load_relaxed(&one.buckets[i])
        return SeriesTotals(
            kind, name, tuple([classes[i] for i in range(6)]), sums[0], sums[1], sums[2],
            tuple([buckets[i] for i in range(BUCKET_COUNT)]),
        )

    def gauges(self, places: list[tuple[int, int]]) -> tuple[int, int, int]:
        """Open, waiting and asked of one series, summed over the places given by ``places``."""
        cdef uint64_t word
        open = waiting = asked = 0
        for slot, index in places:
            word = load_relaxed(&(self.table_of(slot) + <uint32_t>index).gauges)
            open += word & 0xFFFF
            waiting += word >> 16 & 0xFFFF
            asked += word >> 32 & 0xFFFF
        return open, waiting, asked

    def totals(self, slot: int | None = None) -> MeterTotals:
        """Everything at once; a large table is better read series by series, see ``places`` and ``read``."""
        series = [self.read(kind, name, where) for (kind, name), where in self.places(slot).items()]
        return MeterTotals(self.counters(slot), series, self.series_refused)
