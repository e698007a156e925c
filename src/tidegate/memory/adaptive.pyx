"""What adaptive limits measure, worker by worker, and the limit that one of them makes of it for all.

Rules:

1. Samples go to the worker's own bank, of which there are two for each limit, one for every other interval. A bank
   belongs to the interval that it names; the first sample of another one clears it. Nobody else writes it.
2. The interval is a word: when it began, and in its lowest bit which banks are used. Who finds that it has lasted long
   enough swaps it for the next one. The one who did so has the turn: he adds up the banks of the interval that is over,
   in which nobody writes any more but for a sample that was under way; a version, odd while it is written, tells, and
   is waited for within a bound.
3. What the algorithm remembers is stored beside, in one of two places by the same bit, with a checksum over interval
   and content. Who has the next turn goes on from the newest that is whole: one that dies while he decides costs an
   interval, and one that was stopped and goes on later spoils one place at most.
4. The limit is a word with the age of its decision in the upper bits. It is only replaced by a later decision, so that
   one who was stopped before he published changes nothing.
5. A row has a name: whose it is. It is taken by a swap of the name to the new one without its lowest bit, emptied, and
   then the bit is set. Who finds his name without the bit goes without what was learned for that moment; when it stays so
   for a second, whoever took it has died, and the next empties the row again. To empty a row twice loses what was
   learned in between, which is all that can happen to one who was stopped in the middle.
6. Two that take a row each for one key at once come together on the first one when they look again (``claim``); the
   other is not asked for any more, and given up after a minute.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from tidegate.memory.atomics cimport compare_swap, load_acquire, load_seq, store_release, store_seq
from tidegate.memory.mapping cimport Mapping

from typing import NamedTuple
from zlib import crc32

from tidegate.config.allotment import LEARNERS
from tidegate.memory.histogram import BUCKETS

ROWS = ADAPTIVE_ROWS
"""Adaptive limits, and keys of such limits, there is room for."""

STATE_MAX = ADAPTIVE_STATE
"""Bytes of what an algorithm remembers, at most."""

cdef enum:
    SUB_BITS = 3
    MAX_EXPONENT = 27
    AGE_SHIFT = 20          # a decision's age is told in steps of a millisecond
    LIMIT_BITS = 24
    READS = 1000

cdef uint64_t REST_NS = 60000000000     # a key that was not seen for so long gives its row up
cdef uint64_t SEEN_NS = 1000000000      # how exactly that is known: the word is read with each request, and seldom written

cdef extern from *:
    """
    #if defined(__x86_64__)
    static inline void relax(void) { __builtin_ia32_pause(); }
    #else
    static inline void relax(void) { }
    #endif
    """
    void relax() noexcept nogil
    int __builtin_clzll(unsigned long long value) nogil


class Counts(NamedTuple):
    """What all workers together measured in an interval; the words of a bank, see ``adaptive.pxd``."""

    began_ns: int
    ended: int
    drops: int
    in_flight_max: int
    in_flight_sum: int
    started_ns: int
    first_end_ns: int
    latency_min_ns: int
    latency_sum_ns: int
    waited: int
    latencies: tuple
    waitings: tuple


def tag_of(str limit not None) -> int:
    """What the names of a limit's rows have in common."""
    return crc32(limit.encode()) << 1 & ADAPTIVE_TAG


def row_name(str limit not None, uint64_t fingerprint) -> int:
    """What the row of a key is called."""
    return name_of(fingerprint, tag_of(limit))


def adaptive_size(uint32_t slots) -> int:
    """Bytes of the section for so many worker slots; memory is taken where limits are used."""
    return ADAPTIVE_ROWS * (sizeof(Record) + 2 * slots * sizeof(Bank))


cdef uint32_t bucket_of(uint64_t duration_us) noexcept nogil:
    # As in memory/histogram.py.
    cdef int exponent
    if duration_us < 1 << SUB_BITS:
        return <uint32_t>duration_us
    exponent = 63 - __builtin_clzll(duration_us)
    if exponent >= MAX_EXPONENT:
        return ADAPTIVE_BUCKETS - 1
    return <uint32_t>(((exponent - SUB_BITS) << SUB_BITS) + (duration_us >> (exponent - SUB_BITS)))


cdef uint64_t least(uint64_t one, uint64_t other) noexcept nogil:
    return max(one, other) if one == 0 or other == 0 else min(one, other)


cdef class Adaptive:
    """``slot``: of the worker that uses it."""

    def __cinit__(self, Mapping mapping, uint32_t slot):
        if BUCKETS != ADAPTIVE_BUCKETS or LEARNERS != ADAPTIVE_ROWS:
            raise ValueError(
                f"expected {ADAPTIVE_BUCKETS} buckets and {ADAPTIVE_ROWS} rows, memory.histogram has {BUCKETS} and "
                f"config.allotment {LEARNERS}"
            )
        if slot >= mapping.slots:
            raise IndexError(f"the region has {mapping.slots} slots, there is no slot {slot}")
        if mapping.part_size("adaptive") < adaptive_size(mapping.slots):
            raise ValueError("the region's section 'adaptive' is too small for this program")
        self.region = mapping
        self.slots = mapping.slots
        self.slot = slot
        self.records = <Record*>mapping.part("adaptive", 0)
        self.banks = <Bank*>(self.records + <uint64_t>ADAPTIVE_ROWS)

    cdef Bank* bank(self, uint32_t row, uint32_t slot, uint64_t interval) noexcept nogil:
        return self.banks + (<uint64_t>row * self.slots + slot) * 2 + (interval & 1)

    cdef int64_t claim(self, uint32_t first, uint32_t rows, uint64_t name, uint64_t now_ns) noexcept nogil:
        cdef uint64_t taken = name & ~<uint64_t>1
        cdef uint64_t there, seen_ns
        cdef uint32_t row
        cdef Record* record
        for row in range(first, first + rows):
            record = self.records + row
            if load_acquire(&record.name) == name:
                if now_ns > load_acquire(&record.seen_ns) + SEEN_NS:
                    store_release(&record.seen_ns, now_ns)
                return row
        for row in range(first, first + rows):
            record = self.records + row
            there = load_seq(&record.name)
            seen_ns = load_seq(&record.seen_ns)
            if there == taken:
                if now_ns < seen_ns + SEEN_NS:
                    return -1                           # it is being emptied
            elif there != 0 and (there ^ name) & ADAPTIVE_TAG == 0 and now_ns < seen_ns + REST_NS:
                continue
            if not compare_swap(&record.name, there, taken):
                if load_seq(&record.name) | 1 == name:
                    return -1
                continue
            store_seq(&record.seen_ns, now_ns)
            store_seq(&record.limit, 0)
            store_seq(&record.changed_ns, now_ns)       # requests of whoever had it teach nothing
            store_seq(&record.states[0][1], 0)
            store_seq(&record.states[1][1], 0)
            store_seq(&record.interval, now_ns & ~<uint64_t>1 | (load_seq(&record.interval) & 1 ^ 1))
            return row if compare_swap(&record.name, taken, name) else -1
        return -1

    cdef void observe(self, uint32_t row, int64_t started_ns, int64_t latency_ns, uint32_t in_flight, bint was_dropped,
                      int64_t waiting_ns) noexcept nogil:
        cdef Record* record = self.records + row
        cdef uint64_t interval, version
        cdef Bank* bank
        if <uint64_t>started_ns < load_acquire(&record.changed_ns):
            return
        interval = load_acquire(&record.interval)
        bank = self.bank(row, self.slot, interval)
        version = load_acquire(&bank.version) | 1       # a predecessor may have died while it wrote
        store_seq(&bank.version, version)
        if bank.interval != interval:
            memset(&bank.count, 0, sizeof(Bank) - 2 * sizeof(uint64_t))
            bank.interval = interval
        latency_ns = max(latency_ns, 1)                 # 0 would mean that nothing is known
        bank.count += 1
        bank.in_flight_max = max(bank.in_flight_max, in_flight)
        bank.in_flight_sum += in_flight
        bank.started_ns = least(bank.started_ns, <uint64_t>started_ns)
        bank.first_end_ns = least(bank.first_end_ns, <uint64_t>(started_ns + latency_ns))
        if was_dropped:
            bank.drops += 1
        else:
            bank.latency_min_ns = least(bank.latency_min_ns, <uint64_t>latency_ns)
            bank.latency_sum_ns += <uint64_t>latency_ns
            bank.latencies[bucket_of(<uint64_t>latency_ns // 1000)] += 1
            if waiting_ns >= 0:
                bank.waited += 1
                bank.waitings[bucket_of(<uint64_t>waiting_ns // 1000)] += 1
        store_release(&bank.version, version + 1)

    cdef bint copy(self, uint32_t row, uint32_t slot, uint64_t interval, Bank* into) noexcept nogil:
        # A bank as it was between two samples; one whose worker stands still, or has died, in the middle of a sample is
        # taken as it is: at most that sample is counted by half.
        cdef Bank* bank = self.bank(row, slot, interval)
        cdef uint64_t version
        cdef int i
        for i in range(READS):
            version = load_seq(&bank.version)
            if load_seq(&bank.interval) != interval and version & 1 == 0:
                return False
            memcpy(into, bank, sizeof(Bank))
            if version & 1 == 0 and load_seq(&bank.version) == version:
                break
            relax()
        return into.interval == interval

    def add(self, uint32_t row, int64_t started_ns, int64_t latency_ns, uint32_t in_flight, bint was_dropped=False,
            int64_t waiting_ns=-1) -> None:
        """One request that ended; ``in_flight``: how many were under way on the machine when it began, itself included.

        It counts if it began after the last change of the limit. ``waiting_ns``: how long it waited behind the limit.
        """
        self._check(row)
        self.observe(row, started_ns, latency_ns, in_flight, was_dropped, waiting_ns)

    def take_row(self, uint32_t first, uint32_t rows, uint64_t name, uint64_t now_ns) -> int | None:
        """The row of that name among ``rows`` from ``first``, taken now if it has none; None: there is none for it."""
        if rows == 0 or first + rows > ADAPTIVE_ROWS:
            raise IndexError(f"there are {ROWS} rows, none beyond: {first} + {rows}")
        cdef int64_t row = self.claim(first, rows, name, now_ns)
        return None if row < 0 else row

    def name(self, uint32_t row) -> int:
        """Whose row it is (``row_name``); 0: nobody's, or being taken."""
        self._check(row)
        cdef uint64_t name = load_seq(&self.records[row].name)
        return name if name & 1 else 0

    def is_due(self, uint32_t row, uint64_t now_ns, uint64_t shortest_ns, uint64_t samples_min) -> bool:
        """Whether its interval has lasted that long, with so many samples: worth a closer look."""
        self._check(row)
        cdef uint64_t interval = load_seq(&self.records[row].interval)
        return interval != 0 and now_ns >= (interval & ~<uint64_t>1) + shortest_ns and self.count(
            row, interval, samples_min
        ) >= samples_min

    cdef uint64_t count(self, uint32_t row, uint64_t interval, uint64_t enough) noexcept nogil:
        cdef uint64_t count = 0
        cdef uint32_t slot
        cdef Bank* bank
        for slot in range(self.slots):
            bank = self.bank(row, slot, interval)
            if load_seq(&bank.interval) == interval:
                count += load_seq(&bank.count)
                if count >= enough:
                    break
        return count

    def learned(self, uint32_t row) -> int:
        """The limit that was published last; 0: none yet."""
        self._check(row)
        return self.limit(row)

    def begin(self, uint32_t row, uint64_t now_ns) -> None:
        """The first interval of a limit begins, if it has not begun yet: whoever prepares it calls this."""
        self._check(row)
        compare_swap(&self.records[row].interval, 0, now_ns & ~<uint64_t>1)

    def take_turn(
        self,
        uint32_t row,
        uint64_t now_ns,
        *,
        uint64_t shortest_ns,
        uint64_t interval_ns,
        uint64_t samples_min,
        uint64_t samples,
    ) -> int | None:
        """The interval that is over now, for the one of all callers who is to decide; None for the others.

        It is over after ``interval_ns``, or with ``samples`` before that; not before ``shortest_ns`` and ``samples_min``.
        """
        self._check(row)
        cdef Record* record = self.records + row
        cdef uint64_t interval = load_seq(&record.interval)
        cdef uint64_t began_ns = interval & ~<uint64_t>1
        cdef uint64_t count
        if interval == 0 or now_ns < began_ns + max(shortest_ns, 2):
            return None
        count = self.count(row, interval, max(samples_min, samples))
        if count < samples_min or (now_ns < began_ns + interval_ns and count < samples):
            return None
        if not compare_swap(&record.interval, interval, now_ns & ~<uint64_t>1 | (interval & 1 ^ 1)):
            return None
        return interval

    def gather(self, uint32_t row, uint64_t interval):
        """What all workers measured in an interval that is over."""
        self._check(row)
        cdef Bank all, one
        cdef uint32_t slot, i
        memset(&all, 0, sizeof(Bank))
        for slot in range(self.slots):
            if not self.copy(row, slot, interval, &one):
                continue
            all.count += one.count
            all.drops += one.drops
            all.in_flight_max = max(all.in_flight_max, one.in_flight_max)
            all.in_flight_sum += one.in_flight_sum
            all.started_ns = least(all.started_ns, one.started_ns)
            all.first_end_ns = least(all.first_end_ns, one.first_end_ns)
            all.latency_min_ns = least(all.latency_min_ns, one.latency_min_ns)
            all.latency_sum_ns += one.latency_sum_ns
            all.waited += one.waited
            for i in range(ADAPTIVE_BUCKETS):
                all.latencies[i] += one.latencies[i]
                all.waitings[i] += one.waitings[i]
        return Counts(
            began_ns=interval & ~<uint64_t>1,
            ended=all.count,
            drops=all.drops,
            in_flight_max=all.in_flight_max,
            in_flight_sum=all.in_flight_sum,
            started_ns=all.started_ns,
            first_end_ns=all.first_end_ns,
            latency_min_ns=all.latency_min_ns,
            latency_sum_ns=all.latency_sum_ns,
            waited=all.waited,
            latencies=tuple([all.latencies[i] for i in range(ADAPTIVE_BUCKETS)]),
            waitings=tuple([all.waitings[i] for i in range(ADAPTIVE_BUCKETS)]),
        )

    def remembered(self, uint32_t row) -> bytes:
        """What the algorithm stored with its last decision; empty: nothing, or nothing that is whole."""
        self._check(row)
        cdef uint64_t* state
        cdef int i
        found = (0, b"")
        for i in range(2):
            state = self.records[row].states[i]
            interval, length, checksum = load_seq(state), load_seq(state + 1), load_seq(state + 2)
            if 0 < length <= ADAPTIVE_STATE and interval > found[0]:
                content = (<char*>(state + 3))[:length]
                if checksum == crc32(content, interval & 0xFFFFFFFF):
                    found = (interval, content)
        return found[1]

    def publish(self, uint32_t row, uint64_t interval, uint32_t limit, uint64_t changed_ns, bytes state) -> bool:
        """The decision on an interval, by who has its turn; False: a later one was published meanwhile.

        ``changed_ns``: when the limit last changed; requests that began before it are not counted from now on.
        """
        self._check(row)
        if not 0 < limit < 1 << LIMIT_BITS or len(state) > ADAPTIVE_STATE:
            raise ValueError(f"expected a limit of 24 bits and at most {STATE_MAX} bytes, got {limit}, {len(state)}")
        cdef Record* record = self.records + row
        cdef uint64_t* place = record.states[interval & 1]
        cdef uint64_t age = interval >> AGE_SHIFT
        cdef uint64_t there = load_seq(&record.limit)
        while there >> LIMIT_BITS <= age:
            if compare_swap(&record.limit, there, age << LIMIT_BITS | limit):
                break
            there = load_seq(&record.limit)
        else:
            return False
        store_seq(place + 1, 0)                 # not whole while it is written
        memcpy(place + 3, <char*>state, len(state))
        store_seq(place, interval)
        store_seq(place + 2, crc32(state, interval & 0xFFFFFFFF))
        store_seq(place + 1, len(state))
        store_seq(&record.changed_ns, changed_ns)
        return True

    def seed(self, uint32_t row, uint64_t name, uint64_t now_ns, uint32_t limit, bytes state) -> None:
        """Puts into a row of that name what was learned before the region was made; before any worker runs."""
        self._check(row)
        cdef Record* record = self.records + row
        store_seq(&record.interval, now_ns & ~<uint64_t>1)
        store_seq(&record.seen_ns, now_ns)
        store_seq(&record.name, name)
        self.publish(row, now_ns & ~<uint64_t>1, limit, now_ns, state)

    def _check(self, uint32_t row):
        if row >= ADAPTIVE_ROWS:
            raise IndexError(f"there is room for {ROWS} adaptive limits, there is no limit {row}")

    def __repr__(self):
        return f"<Adaptive, {self.slots} slots, as slot {self.slot} sees it>"
