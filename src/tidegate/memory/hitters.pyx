"""The keys that lead in requests, refusals, upstream time or bytes, in bounded memory.

A table has room for 64 keys, in sets of eight. A key that is in it is counted exactly from then on. One that is not, and finds
its set full, takes the place of the weakest there with probability w / (c + w), where w is its weight and c what the weakest
has: randomized admission (Ben Basat, Einziger, Friedman, Kassner: "Randomized Admission Policy for Efficient Top-k and Frequency
Estimation", INFOCOM 2017; in sets, as there in section V), which grew out of Space-Saving (Metwally, Agrawal, El Abbadi:
"Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005). So keys that are seen once come and go in
the weakest places, and push out nobody who leads.

There is one table for all figures, and so a key's weight is the greatest of its shares: a hundredth of all requests counts as
much as a hundredth of all bytes, in the window where it is more. Shares of n figures sum to n, so a key that has an eighth of
n / 8 of any figure of its set stays. As in those papers who comes in inherits what the weakest had, but for the next choice only:
what is shown is what was seen of the key itself, hence never too much.

A window of ten seconds or ten minutes is two panes of its length: what is shown is the pane that is filled and as much of the
one before as still reaches into the window, as if that had come evenly. Nothing sweeps: panes move on when they are counted in.

A table has one writer, the worker in the slot, with plain stores: a reader takes a key whose fingerprint did not change
meanwhile. A writer that dies leaves its table to its successor; of what it was writing one key may be wrong until its panes
have passed. Memory is touched when a series is first counted in: 17 KB each.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from tidegate.memory.atomics cimport add_single_writer, load_acquire, load_relaxed, store_relaxed, store_release
from tidegate.memory.mapping cimport Mapping

import os
from collections.abc import Iterable
from typing import NamedTuple

cdef extern from *:
    void __sync_synchronize() nogil

cdef uint64_t SECOND_NS = 1000000000
cdef uint64_t[2] PANE_NS
PANE_NS[SHORT] = 10 * SECOND_NS
PANE_NS[LONG] = 600 * SECOND_NS

WINDOWS_S = (10, 600)
"""Seconds of the windows."""

KEYS_MAX = HITTERS_MAX
TABLE_SIZE = sizeof(HitterTable)

assert sizeof(Hitter) == 256 and TABLE_SIZE % 64 == 0


class KeyFigures(NamedTuple):
    """What was seen of one key: in a window, or since it was looked at last."""

    key: str
    requests: float
    refusals: float
    upstream_s: float
    bytes: float


cdef void epochs_at(uint64_t now_ns, uint32_t* epochs) noexcept nogil:
    epochs[SHORT] = <uint32_t>(now_ns / PANE_NS[SHORT]) + 1
    epochs[LONG] = <uint32_t>(now_ns / PANE_NS[LONG]) + 1


cdef inline bint roll(Panes* panes, const uint32_t* epochs) noexcept nogil:
    """Moves panes on to those of now; whether a window has."""
    cdef bint has_moved = False
    cdef int window, figure
    for window in range(WINDOWS):
        if panes.epochs[window] == epochs[window]:
            continue
        has_moved = True
        for figure in range(FIGURES):
            store_relaxed(
                &panes.before[window][figure],
                panes.now[window][figure] if panes.epochs[window] + 1 == epochs[window] else 0,
            )
            store_relaxed(&panes.now[window][figure], 0)
        panes.epochs[window] = epochs[window]
    return has_moved


cdef inline void add(Panes* panes, const uint64_t* amounts) noexcept nogil:
    cdef int figure
    for figure in range(FIGURES):
        add_single_writer(&panes.now[SHORT][figure], amounts[figure])
        add_single_writer(&panes.now[LONG][figure], amounts[figure])


@cython.final
cdef class Hitters:

    def __cinit__(self, Mapping mapping not None, uint32_t slot, uint64_t seed=0):
        self.region = mapping
        self.tables = <HitterTable*>mapping.part("hitters", slot)
        self.series_max = <uint32_t>(mapping.part_size("hitters") / sizeof(HitterTable))
        self.random = seed or int.from_bytes(os.urandom(8), "little") | 1

    cdef char* count(
        self, uint32_t series, uint64_t fingerprint, const uint32_t* epochs, const uint64_t* amounts
    ) noexcept nogil:
        cdef HitterTable* table
        cdef Hitter* hitter = NULL
        cdef uint64_t* words
        cdef uint32_t set
        cdef uint64_t random
        cdef int way, window, figure
        cdef float weight = 0, score = 0, share
        if series >= self.series_max:
            return NULL
        table = self.tables + series
        roll(&table.total, epochs)
        add(&table.total, amounts)
        set = <uint32_t>(fingerprint >> 61)
        words = &table.fingerprints[set * HITTER_WAYS]
        for way in range(HITTER_WAYS):
            if words[way] == fingerprint:
                hitter = &table.hitters[set * HITTER_WAYS + way]
                if roll(&hitter.panes, epochs):
                    memset(hitter.inherited, 0, sizeof(hitter.inherited))
                add(&hitter.panes, amounts)
                return NULL
        hitter = self._weakest(table, set, epochs, &score)
        if score > 0:
            for window in range(WINDOWS):
                for figure in range(FIGURES):
                    if amounts[figure]:
                        share = <float>amounts[figure] / <float>(
                            table.total.now[window][figure] + table.total.before[window][figure]
                        )
                        weight = share if share > weight else weight
            # xorshift64* (Vigna 2014)
            random = self.random
            random ^= random >> 12
            random ^= random << 25
            random ^= random >> 27
            self.random = random
            if <float>(random * <uint64_t>0x2545F4914F6CDD1D >> 40) * (score + weight) >= weight * <float>(1 << 24):
                return NULL
        way = <int>(hitter - &table.hitters[set * HITTER_WAYS])
        store_relaxed(&words[way], 0)
        __sync_synchronize()        # who has seen the key before and sees it afterwards has read nothing of the next one
        for window in range(WINDOWS):
            for figure in range(FIGURES):
                if score > 0:
                    hitter.inherited[window][figure] += <float>(
                        hitter.panes.now[window][figure] + hitter.panes.before[window][figure]
                    )
                else:
                    hitter.inherited[window][figure] = 0
                hitter.panes.before[window][figure] = 0
                hitter.panes.now[window][figure] = amounts[figure]
            hitter.panes.epochs[window] = epochs[window]
        hitter.name_size = 0
        return hitter.name

    cdef void named(self, uint32_t series, uint64_t fingerprint, const char* place, size_t size) noexcept nogil:
        """The name has been written to ``place``, as ``count`` gave it: from now on the key is there."""
        cdef HitterTable* table = self.tables + series
        cdef size_t index = <size_t>(place - <const char*>&table.hitters[0]) // sizeof(Hitter)
        table.hitters[index].name_size = <uint16_t>size
        store_release(&table.fingerprints[index], fingerprint)

    cdef Hitter* _weakest(self, HitterTable* table, uint32_t set, const uint32_t* epochs, float* score) noexcept nogil:
        """Who gives way in a set: one that nobody is in or whose time has passed, with a score of 0; else the least."""
        cdef float[2][4] portion
        cdef Hitter* found = NULL
        cdef Hitter* hitter
        cdef float least = 0, greatest, share
        cdef uint64_t total
        cdef int way, window, figure
        for way in range(HITTER_WAYS):
            hitter = &table.hitters[set * HITTER_WAYS + way]
            if table.fingerprints[set * HITTER_WAYS + way] == 0 or hitter.panes.epochs[LONG] + 1 < epochs[LONG]:
                score[0] = 0
                return hitter
        for window in range(WINDOWS):
            for figure in range(FIGURES):
                total = table.total.now[window][figure] + table.total.before[window][figure]
                portion[window][figure] = 1 / <float>total if total else 0
        for way in range(HITTER_WAYS):
            hitter = &table.hitters[set * HITTER_WAYS + way]
            if roll(&hitter.panes, epochs):
                memset(hitter.inherited, 0, sizeof(hitter.inherited))
            greatest = 0
            for window in range(WINDOWS):
                for figure in range(FIGURES):
                    share = portion[window][figure] * (
                        <float>(hitter.panes.now[window][figure] + hitter.panes.before[window][figure])
                        + hitter.inherited[window][figure]
                    )
                    greatest = share if share > greatest else greatest
            if found == NULL or greatest < least:
                found = hitter
                least = greatest
        # One that has counted nothing yet is the weakest there can be, and its place is taken.
        score[0] = least
        return found

    # For tests and tools, off the request path.

    def record(
        self, uint32_t series, uint64_t fingerprint, bytes name not None, uint64_t now_ns, *, uint64_t requests=1,
        uint64_t refusals=0, uint64_t upstream_ns=0, uint64_t size=0, long times=1,
    ):
        cdef uint32_t[2] epochs
        cdef uint64_t[4] amounts
        cdef char* place
        cdef size_t kept = min(len(name), HITTER_NAME)
        cdef long i
        amounts[REQUESTS] = requests
        amounts[REFUSALS] = refusals
        amounts[UPSTREAM_NS] = upstream_ns
        amounts[BYTES] = size
        epochs_at(now_ns, epochs)
        for i in range(times):
            place = self.count(series, fingerprint, epochs, amounts)
            if place != NULL:
                memcpy(place, <const char*>name, kept)
                self.named(series, fingerprint, place, kept)

    def spray(self, uint32_t series, uint64_t now_ns, long times):
        """Counts a request for each of so many keys that were never there before."""
        cdef uint32_t[2] epochs
        cdef uint64_t[4] amounts
        cdef char* place
        cdef uint64_t fingerprint
        cdef long i
        epochs_at(now_ns, epochs)
        memset(amounts, 0, sizeof(amounts))
        amounts[REQUESTS] = 1
        for i in range(times):
            fingerprint = (<uint64_t>(i + 1)) * <uint64_t>0x9E3779B97F4A7C15
            place = self.count(series, fingerprint, epochs, amounts)
            if place != NULL:
                memcpy(place, b"spray", 5)
                self.named(series, fingerprint, place, 5)

    def __repr__(self):
        return f"<Hitters of {self.series_max} series>"


cdef inline double share_before(uint64_t now_ns, int window) noexcept nogil:
    """How much of the pane before reaches into the window that ends now."""
    return 1.0 - <double>(now_ns % PANE_NS[window]) / <double>PANE_NS[window]


cdef inline void within(const Panes* panes, uint64_t now_ns, int window, double* figures) noexcept nogil:
    cdef uint32_t[2] epochs
    cdef uint32_t epoch = panes.epochs[window]
    cdef double share = share_before(now_ns, window)
    cdef int figure
    epochs_at(now_ns, epochs)
    for figure in range(FIGURES):
        figures[figure] = 0
        if epoch == epochs[window]:
            figures[figure] = <double>load_relaxed(&panes.now[window][figure]) + share * <double>load_relaxed(
                &panes.before[window][figure]
            )
        elif epoch + 1 == epochs[window]:
            figures[figure] = share * <double>load_relaxed(&panes.now[window][figure])


cdef inline bint copy_of(const HitterTable* table, int index, Hitter* copy, uint64_t* fingerprint) noexcept nogil:
    """A key's place as it is; False: nobody is there, or somebody has just come."""
    fingerprint[0] = load_acquire(&table.fingerprints[index])
    if fingerprint[0] == 0:
        return False
    memcpy(copy, &table.hitters[index], sizeof(Hitter))
    __sync_synchronize()
    return load_acquire(&table.fingerprints[index]) == fingerprint[0]


cdef struct Seen:
    uint64_t fingerprint
    uint64_t now[4]
    uint32_t epoch


cdef inline void grown(const Panes* panes, Seen* seen, bint is_same, double* figures) noexcept nogil:
    """How much was counted since ``seen``, which becomes as it is now; 0 when that is more than a pane ago."""
    cdef uint32_t epoch = panes.epochs[SHORT]
    cdef int figure
    for figure in range(FIGURES):
        figures[figure] = <double>panes.now[SHORT][figure]
        if is_same and seen.epoch == epoch:
            figures[figure] -= <double>seen.now[figure]
        elif is_same and seen.epoch + 1 == epoch:
            figures[figure] += <double>panes.before[SHORT][figure] - <double>seen.now[figure]
        seen.now[figure] = panes.now[SHORT][figure]
    seen.epoch = epoch


@cython.final
cdef class HitterReader:

    def __cinit__(self, Mapping mapping not None):
        self.region = mapping
        self.series_max = <uint32_t>(mapping.part_size("hitters") / sizeof(HitterTable))
        self.seen = {}

    cdef const HitterTable* table_of(self, uint32_t slot, uint32_t series) except NULL:
        if series >= self.series_max:
            raise IndexError(f"there is no series {series}")
        return <const HitterTable*>(<Mapping>self.region).part("hitters", slot) + series

    def within(self, places, uint64_t now_ns, int window):
        """(figures of all keys together, those of each that is known) in a window, of a series that lies in ``places``."""
        cdef const HitterTable* table
        cdef Hitter hitter
        cdef uint64_t fingerprint
        cdef double[4] figures
        cdef double[4] total
        cdef double[4] part
        cdef int i, figure
        memset(total, 0, sizeof(total))
        sums = {}
        for slot, series in places:
            table = self.table_of(slot, series)
            within(&table.total, now_ns, window, part)
            for figure in range(FIGURES):
                total[figure] += part[figure]
            if part[REQUESTS] == 0:
                continue
            for i in range(HITTERS_MAX):
                if not copy_of(table, i, &hitter, &fingerprint):
                    continue
                within(&hitter.panes, now_ns, window, figures)
                if figures[REQUESTS] > 0:
                    _sum(sums, fingerprint, &hitter, figures)
        return _told("", [total[figure] for figure in range(FIGURES)]), [_told(name, parts) for name, parts in sums.values()]

    def grown(self, places):
        """The same of what was counted since it was asked last for that series."""
        cdef const HitterTable* table
        cdef Hitter hitter
        cdef uint64_t fingerprint
        cdef double[4] figures
        cdef double[4] total
        cdef Seen* seen
        cdef bytearray kept
        cdef int i, figure
        cdef bint is_first
        memset(total, 0, sizeof(total))
        sums = {}
        for slot, series in places:
            table = self.table_of(slot, series)
            if load_relaxed(&table.total.now[SHORT][REQUESTS]) == 0 and table.total.epochs[SHORT] == 0:
                continue
            kept = self.seen.get((slot, series))
            is_first = kept is None
            if is_first:
                kept = bytearray((HITTERS_MAX + 1) * sizeof(Seen))
                self.seen[slot, series] = kept
            seen = <Seen*><char*>kept
            grown(&table.total, seen + <int>HITTERS_MAX, not is_first, figures)
            if figures[REQUESTS] <= 0:
                continue
            for figure in range(FIGURES):
                total[figure] += figures[figure]
            for i in range(HITTERS_MAX):
                if not copy_of(table, i, &hitter, &fingerprint):
                    continue
                grown(&hitter.panes, seen + i, seen[i].fingerprint == fingerprint, figures)
                seen[i].fingerprint = fingerprint
                if figures[REQUESTS] > 0:
                    _sum(sums, fingerprint, &hitter, figures)
        return _told("", [total[figure] for figure in range(FIGURES)]), [_told(name, parts) for name, parts in sums.values()]

    def __repr__(self):
        return f"<HitterReader of {self.series_max} series>"


cdef _sum(dict sums, uint64_t fingerprint, const Hitter* hitter, const double* figures):
    cdef int figure
    known = sums.get(fingerprint)
    if known is None:
        name = (<bytes>hitter.name[: min(hitter.name_size, <uint16_t>HITTER_NAME)]).decode("utf-8", "replace")
        sums[fingerprint] = (name, [figures[figure] for figure in range(FIGURES)])
        return
    for figure in range(FIGURES):
        known[1][figure] += figures[figure]


cdef _told(str name, list figures):
    return KeyFigures(name, figures[REQUESTS], figures[REFUSALS], figures[UPSTREAM_NS] / 1e9, figures[BYTES])


def leading(keys: Iterable[KeyFigures], count: int) -> list[KeyFigures]:
    """Those of ``keys`` that are among the first ``count`` in any figure, those with most requests first."""
    found = list(keys)
    chosen = {
        id(one): one
        for figure in range(1, 1 + FIGURES)
        for one in sorted(found, key=lambda one: one[figure], reverse=True)[:count]
        if one[figure] > 0
    }
    return sorted(chosen.values(), key=lambda one: (-one.requests, one.key))
