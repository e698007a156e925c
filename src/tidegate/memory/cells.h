/* Cells of 16 bytes that many processes count in at once, found by the fingerprint of a key: rates and quotas.

A table is one limit's: a header, then sets of eight cells. A key has two sets, and at most one cell in them. A cell is
two words, the key and what it has used, and is changed by a 16-byte compare-and-swap of both and by nothing else.

    free        0, 0
    announced   key, bit 63 | time of the announcement in ms (23 bits) | nonce (40 bits)
    a rate      fingerprint, theoretical arrival time in ns
    a quota     upper 48 bits of the fingerprint | end of the window in ms, lower 16 bits;
                end of the window in ms, upper 22 bits | count (41 bits)

Rules:

1. Nobody waits, and nobody owns anything: who is stopped or dies between any two instructions leaves cells that the
   others go on with.
2. An expired cell (arrival time or end of the window not after now) equals an absent one. Nothing is swept.
3. A key that has no cell is announced: a nonce that was never used before takes the place of a dead cell, in the set
   that has more of them. If there is none, the cell that expires first goes, and is counted; never one of the same
   key, which another has made meanwhile.
4. An announced cell holds no charge. It is charged only by who has read both sets *after* seeing it there and found no
   other cell of the key. Of two announcements the lower one stays; one that meets a charged cell goes. So two processes
   that meet a new key at once end on one cell: one of the two sees the other. Anybody who has the key may charge or
   take away an announced cell, not only who made it.
5. The swap that charges it names the nonce. If the cell was given away and announced again since the look at the sets,
   for the same key even, it fails.
6. An announcement that is ANNOUNCED_MS old is a dead cell: its maker was killed, or is stopped and will find out by
   rule 5. A younger one goes only when all 16 cells are announced: makers of different keys do not chase each other.
7. The two words are read by two loads, and may be of two times. What was read counts when a swap has confirmed it; a
   verdict that changes nothing (a refusal, a look) confirms by a swap of what was read for the same.
8. Who loses a swap begins again with what it found there. After TRIES it refuses and counts that, rather than keep its
   process busy: each lost swap was another's success, so this takes a thousand in a row.

9. A charge is given back as far as nobody leans on it. What it made of the cell is kept for that: its turn + emission,
   the arrival time. Where turns are waited for (``rate_retract``) all who came later lean on it: it is given back only
   while the cell still says that arrival time, and then the cell says the turn, as if it had never been. Where nobody
   waits (``rate_refund``), what lies ahead of now is debt of all, and nobody's place in it matters: of a charge is
   given back what of its own time is still ahead of now, which is all of it in the stretch that charged it, and never
   more than it has left behind, if nobody's clock is ahead of the one that gives back.

An evicted cell is never charged or given back by somebody who still points at it, as the swap names the key. What was
charged in it is forgotten, which lets its key pass as if it were new.

Times are CLOCK_MONOTONIC. A view of a table (``cell_table``) is one thread's. All of this is searched exhaustively in
tests/memory/test_tables_model.py, and run by processes that are stopped and killed, and by threads under
ThreadSanitizer, in tests/memory/test_tables_race.py. The race that claiming a cell in two writes loses let 18 to 24 % of
new keys pass too often.
*/
#ifndef TIDEGATE_CELLS_H
#define TIDEGATE_CELLS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <cpuid.h>
#ifndef __GCC_HAVE_SYNC_COMPARE_AND_SWAP_16
#error "compile with -mcx16: a 16-byte compare-and-swap out of libatomic may take a lock that is not shared"
#endif
#elif !defined(__aarch64__)
#error "cells need an inlined 16-byte compare-and-swap: x86-64 and AArch64 have one"
#endif

enum {
    CELLS_A_SET = 8,
    TABLE_SETS_MIN = 2,
    ANNOUNCED_MS = 1000,
    TRIES = 1000,
    NONCE_BITS = 40,
    NONCE_BLOCK = 1 << 16,
    STAMP_MASK = (1 << 23) - 1,
    UNTIL_LOW_BITS = 16,
    COUNT_BITS = 41,
};

#define ANNOUNCED ((uint64_t)1 << 63)
#define NONCE_MASK (((uint64_t)1 << NONCE_BITS) - 1)
#define UNTIL_LOW_MASK (((uint64_t)1 << UNTIL_LOW_BITS) - 1)
/* The end of a window at most: 2^38 ms, 8.7 years after boot. A count at most: 2.2e12. */
#define UNTIL_MAX (((int64_t)1 << (63 - COUNT_BITS + UNTIL_LOW_BITS)) - 1)
#define COUNT_MAX (((int64_t)1 << COUNT_BITS) - 1)
/* An arrival time at most: 146 years. */
#define ARRIVAL_MAX ((int64_t)1 << 62)
/* What is refused now and always. */
#define NEVER INT64_MIN

typedef struct {
    uint64_t key;
    uint64_t used;
} __attribute__((aligned(16))) cell;

/* What all processes count of a table; as long as a set, which keeps sets within two cache lines. */
typedef struct {
    uint64_t nonces;    /* the next that nobody has */
    uint64_t evictions; /* cells given up before they expired */
    uint64_t contended; /* refused or not given back after TRIES */
    uint64_t spare[13];
} cells_header;

/* A process's view of a table. */
typedef struct {
    cells_header *header;
    cell *cells;
    uint64_t nonce, nonces_end; /* a block of the header's nonces that is this view's */
    uint32_t sets;
} cell_table;

typedef enum { RATE, QUOTA } cell_kind;

/* -- one cell ---------------------------------------------------------------------------------------------------- */

/* Whether this machine has the instruction; every x86-64 since 2006, but not every virtual one. */
static inline int cells_are_supported(void)
{
#if defined(__x86_64__)
    unsigned int a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_CMPXCHG16B);
#else
    return 1;
#endif
}

static inline uint64_t cell_word(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }

static inline int cell_equals(cell one, cell other) { return one.key == other.key && one.used == other.used; }

static inline int cell_is_announced(cell c) { return c.used >> 63; }

/* Puts ``wanted`` in the place of ``seen``; returns what was there: ``seen``, if it was done. */
static inline cell cell_swap(cell *at, cell seen, cell wanted)
{
    unsigned __int128 before = (unsigned __int128)seen.used << 64 | seen.key;
    unsigned __int128 after = (unsigned __int128)wanted.used << 64 | wanted.key;
    unsigned __int128 found = __sync_val_compare_and_swap((unsigned __int128 *)at, before, after);
    return (cell){(uint64_t)found, (uint64_t)(found >> 64)};
}

static inline int cell_is_of(uint64_t word, uint64_t key, cell_kind kind)
{
    return (kind == RATE ? word ^ key : (word ^ key) >> UNTIL_LOW_BITS) == 0;
}

/* When a charged cell expires: ns of a rate, ms of a quota. */
static inline int64_t cell_until(cell c, cell_kind kind)
{
    if (kind == RATE)
        return (int64_t)c.used;
    return (int64_t)(c.used >> COUNT_BITS << UNTIL_LOW_BITS | (c.key & UNTIL_LOW_MASK));
}

/* -- a table ----------------------------------------------------------------------------------------------------- */

static inline uint64_t table_size(uint32_t sets)
{
    return sizeof(cells_header) + (uint64_t)sets * CELLS_A_SET * sizeof(cell);
}

/* ``memory``: ``table_size(sets)`` bytes, aligned to 64; zeroed once, or left by another limit. */
static inline cell_table table_at(void *memory, uint32_t sets)
{
    cells_header *header = (cells_header *)memory;
    return (cell_table){header, (cell *)(header + 1), 0, 0, sets};
}

/* The first or second set of a key, from one half of its fingerprint each (Lemire's multiply-shift). */
static inline cell *table_set(const cell_table *t, uint64_t key, int choice)
{
    uint64_t first = (key & UINT32_MAX) * t->sets >> 32, second = (key >> 32) * t->sets >> 32;
    if (choice == 0)
        return t->cells + first * CELLS_A_SET;
    if (second == first)
        second = first + 1 == t->sets ? 0 : first + 1;
    return t->cells + second * CELLS_A_SET;
}

/* Asks for the memory of both sets of a key that will be needed soon. */
static inline void table_prefetch(const cell_table *t, uint64_t key)
{
    for (int choice = 0; choice < 2; choice++) {
        const char *set = (const char *)table_set(t, key, choice);
        __builtin_prefetch(set, 1);
        __builtin_prefetch(set + 64, 1);
    }
}

/* The charged cell of a key, else an announced one, else NULL; ``seen`` is what was read there. */
static inline cell *table_find(const cell_table *t, uint64_t key, cell_kind kind, cell *seen)
{
    cell *announced = NULL;
    for (int choice = 0; choice < 2; choice++) {
        cell *set = table_set(t, key, choice);
        for (int i = 0; i < CELLS_A_SET; i++) {
            cell c = {cell_word(&set[i].key), 0};
            if (!cell_is_of(c.key, key, kind))
                continue;
            c.used = cell_word(&set[i].used);
            if (!cell_is_announced(c)) {
                *seen = c;
                return set + i;
            }
            if (announced == NULL) {
                announced = set + i;
                *seen = c;
            }
        }
    }
    return announced;
}

static inline uint64_t table_nonce(cell_table *t)
{
    if (t->nonce == t->nonces_end) {
        t->nonce = __atomic_fetch_add(&t->header->nonces, NONCE_BLOCK, __ATOMIC_RELAXED);
        t->nonces_end = t->nonce + NONCE_BLOCK;
    }
    return t->nonce++ & NONCE_MASK;
}

/* Whether an announcement is young; one that is a little ahead of a process whose clock was read earlier is as well. */
static inline int cell_is_young(cell announced, int64_t now_ms)
{
    uint64_t age = (uint64_t)now_ms + ANNOUNCED_MS - (announced.used >> NONCE_BITS);
    return (age & STAMP_MASK) < 2 * ANNOUNCED_MS;
}

/* Rule 3: the announced cell, NULL when another process was there first. ``now`` is ns of a rate, ms of a quota. */
static __attribute__((noinline)) cell *table_announce(
    cell_table *t, uint64_t key, int64_t now, cell_kind kind, cell *seen)
{
    int64_t now_ms = kind == RATE ? now / 1000000 : now, victim_until = INT64_MAX;
    cell *victim = NULL, found, victim_seen = {0, 0};
    int most_dead = 0;
    for (int choice = 0; choice < 2; choice++) {
        cell *set = table_set(t, key, choice), *first_dead = NULL, dead_seen = {0, 0};
        int dead = 0;
        for (int i = 0; i < CELLS_A_SET; i++) {
            cell c = {cell_word(&set[i].key), 0};
            if (cell_is_of(c.key, key, kind))
                return NULL; /* another made it since it was looked for; new, it might expire first */
            c.used = cell_word(&set[i].used);
            int64_t until = cell_until(c, kind);
            if (cell_is_announced(c))
                until = cell_is_young(c, now_ms) ? INT64_MAX : 0;
            if (until <= now) {
                if (dead++ == 0) {
                    first_dead = set + i;
                    dead_seen = c;
                }
            } else if (most_dead == 0 && (victim == NULL || until < victim_until)) {
                victim = set + i;
                victim_seen = c;
                victim_until = until;
            }
        }
        if (dead > most_dead) {
            most_dead = dead;
            victim = first_dead;
            victim_seen = dead_seen;
        }
    }
    *seen = (cell){kind == RATE ? key : key & ~UNTIL_LOW_MASK,
                   ANNOUNCED | ((uint64_t)now_ms & STAMP_MASK) << NONCE_BITS | table_nonce(t)};
    found = cell_swap(victim, victim_seen, *seen);
    if (!cell_equals(found, victim_seen))
        return NULL;
    if (most_dead == 0 && !cell_is_announced(victim_seen))
        __atomic_fetch_add(&t->header->evictions, 1, __ATOMIC_RELAXED);
    return victim;
}

/* Rule 4: whether an announced cell is the only one of its key; if not, one of the two is taken away. */
static __attribute__((noinline)) int table_is_alone(
    const cell_table *t, uint64_t key, cell_kind kind, cell *announced, cell seen)
{
    const cell nothing = {0, 0};
    for (int choice = 0; choice < 2; choice++) {
        cell *set = table_set(t, key, choice);
        for (int i = 0; i < CELLS_A_SET; i++) {
            cell *other = set + i, c = {cell_word(&other->key), 0};
            if (other == announced || !cell_is_of(c.key, key, kind))
                continue;
            c.used = cell_word(&other->used);
            if (!cell_is_announced(c) || other < announced)
                cell_swap(announced, seen, nothing);
            else
                cell_swap(other, c, nothing);
            return 0;
        }
    }
    return 1;
}

/* The cell to charge for a key: its charged one, or an announced one that is alone. NULL: begin again. */
static inline cell *table_claim(cell_table *t, uint64_t key, int64_t now, cell_kind kind, cell *seen)
{
    cell *at = table_find(t, key, kind, seen);
    if (__builtin_expect(at != NULL && !cell_is_announced(*seen), 1))
        return at;
    if (at == NULL && (at = table_announce(t, key, now, kind, seen)) == NULL)
        return NULL;
    return table_is_alone(t, key, kind, at, *seen) ? at : NULL;
}

static inline int cell_is_charged_for(cell c, uint64_t key, cell_kind kind)
{
    return cell_is_of(c.key, key, kind) && !cell_is_announced(c);
}

/* The content of a key's charged cell, confirmed (rule 7); 0: it has none. */
static inline int table_read(const cell_table *t, uint64_t key, cell_kind kind, cell *seen)
{
    for (int tries = 0; tries < TRIES; tries++) {
        cell *at = table_find(t, key, kind, seen), found;
        if (at == NULL || cell_is_announced(*seen))
            return 0;
        found = cell_swap(at, *seen, *seen);
        if (cell_equals(found, *seen))
            return 1;
    }
    return 0;
}

static inline void table_contended(const cell_table *t)
{
    __atomic_fetch_add(&t->header->contended, 1, __ATOMIC_RELAXED);
}

/* -- rates: the generic cell rate algorithm (ITU-T I.371), which is a leaky bucket ----------------------------------- */

/* What somebody has to wait who comes now, in ns; negative: refused, and would not be in as many ns. */
static inline int64_t rate_verdict(int64_t arrival_ns, int64_t now_ns, int64_t tolerance_ns)
{
    int64_t wait = arrival_ns > now_ns ? arrival_ns - now_ns : 0;
    return wait <= tolerance_ns ? wait : tolerance_ns - wait;
}

/* Whether nobody passes, whatever was used: a rate of 0, or a cost beyond what can be told. */
static inline int rate_is_never(int64_t now_ns, int64_t emission_ns, int64_t tolerance_ns)
{
    return tolerance_ns < 0 || emission_ns > ARRIVAL_MAX - now_ns;
}

/* What ``rate_charge`` would say, changing nothing. */
static inline int64_t rate_peek(
    const cell_table *t, uint64_t fingerprint, int64_t now_ns, int64_t emission_ns, int64_t tolerance_ns)
{
    cell seen;
    if (rate_is_never(now_ns, emission_ns, tolerance_ns))
        return NEVER;
    return rate_verdict(
        table_read(t, fingerprint, RATE, &seen) ? cell_until(seen, RATE) : 0, now_ns, tolerance_ns);
}

/* Charges ``emission_ns`` (cost / rate), unless what is charged already lies more than ``tolerance_ns`` (burst / rate)
   ahead. Returns the ns to wait until it is one's turn, 0: none; negative: refused, with nothing changed, and would not
   have been in as many ns; NEVER. A negative tolerance is a rate of 0, and a charge of 0 leaves no trace. */
static inline int64_t rate_charge(
    cell_table *t, uint64_t fingerprint, int64_t now_ns, int64_t emission_ns, int64_t tolerance_ns)
{
    int tries = 0;
    if (rate_is_never(now_ns, emission_ns, tolerance_ns))
        return NEVER;
    if (emission_ns <= 0)
        return rate_peek(t, fingerprint, now_ns, 0, tolerance_ns);
    do {
        cell seen, found, wanted, *at = table_claim(t, fingerprint, now_ns, RATE, &seen);
        if (at == NULL)
            continue;
        do {
            int64_t arrival = cell_is_announced(seen) ? 0 : cell_until(seen, RATE);
            int64_t verdict = rate_verdict(arrival, now_ns, tolerance_ns);
            wanted = seen;
            if (verdict >= 0) {
                if (emission_ns > ARRIVAL_MAX - now_ns - verdict)
                    return NEVER;
                wanted = (cell){fingerprint, (uint64_t)(now_ns + verdict + emission_ns)};
            }
            found = cell_swap(at, seen, wanted);
            if (__builtin_expect(cell_equals(found, seen), 1))
                return verdict;
            seen = found;
        } while (cell_is_charged_for(seen, fingerprint, RATE) && ++tries < TRIES);
    } while (++tries < TRIES);
    table_contended(t);
    return -1;
}

/* Gives back what is left of a charge that nobody waits behind (rule 9); whether there was anything to give back to.
   ``arrival_ns`` is what the charge made of the cell: its ``now_ns`` + its wait + ``emission_ns``. Let X be the cell, Y
   what it would be without that charge, never less than now: X - Y begins as ``emission_ns``, shrinks only while Y is
   now, and then is X - now, which is no less than ``arrival_ns`` - now. */
static inline int rate_refund(
    cell_table *t, uint64_t fingerprint, int64_t now_ns, int64_t emission_ns, int64_t arrival_ns)
{
    int64_t left = arrival_ns - now_ns < emission_ns ? arrival_ns - now_ns : emission_ns;
    if (left <= 0)
        return 0;
    for (int tries = 0; tries < TRIES; tries++) {
        cell seen, *at = table_find(t, fingerprint, RATE, &seen);
        if (at == NULL || cell_is_announced(seen))
            return 0;
        int64_t arrival = cell_until(seen, RATE), after = arrival > left ? arrival - left : 0;
        int is_live = arrival > now_ns; /* if not, as absent: confirmed all the same */
        cell found = cell_swap(at, seen, is_live ? (cell){fingerprint, (uint64_t)after} : seen);
        if (cell_equals(found, seen))
            return is_live;
    }
    table_contended(t);
    return 0;
}

/* Gives back a turn that nobody has come behind (rule 9); whether it was so. */
static inline int rate_retract(cell_table *t, uint64_t fingerprint, int64_t emission_ns, int64_t arrival_ns)
{
    for (int tries = 0; tries < TRIES; tries++) {
        cell seen, *at = table_find(t, fingerprint, RATE, &seen);
        if (at == NULL || cell_is_announced(seen))
            return 0;
        int is_last = cell_until(seen, RATE) == arrival_ns; /* if not: confirmed all the same */
        cell found = cell_swap(
            at, seen, is_last ? (cell){fingerprint, (uint64_t)(arrival_ns - emission_ns)} : seen);
        if (cell_equals(found, seen))
            return is_last;
    }
    table_contended(t);
    return 0;
}

/* -- quotas: a count in a window ----------------------------------------------------------------------------------- */

static inline cell quota_cell(uint64_t fingerprint, int64_t until_ms, int64_t count)
{
    return (cell){(fingerprint & ~UNTIL_LOW_MASK) | ((uint64_t)until_ms & UNTIL_LOW_MASK),
                  (uint64_t)until_ms >> UNTIL_LOW_BITS << COUNT_BITS | (uint64_t)count};
}

static inline int64_t quota_count(cell c) { return (int64_t)(c.used & (uint64_t)COUNT_MAX); }

/* What is counted in the window that is open; 0 when none is. ``until_ms`` becomes that window's end, if one is. */
static inline int64_t quota_used(const cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t *until_ms)
{
    cell seen;
    if (!table_read(t, fingerprint, QUOTA, &seen) || cell_until(seen, QUOTA) <= now_ms)
        return 0;
    *until_ms = cell_until(seen, QUOTA);
    return quota_count(seen);
}

/* What ``quota_charge`` would say, changing nothing. */
static inline int64_t quota_peek(
    const cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t *until_ms, int64_t cost, int64_t maximum)
{
    int64_t most = maximum < COUNT_MAX ? maximum : COUNT_MAX, left = most - quota_used(t, fingerprint, now_ms, until_ms);
    return cost <= left ? left - cost : -1;
}

/* Counts ``cost`` in the window that is open, or opens one that ends at ``until_ms``, unless that makes more than
   ``maximum``. Returns what is left, -1: refused, with nothing changed. ``until_ms`` becomes the end of the window that
   was looked at. Opening a window and counting in it are one swap. */
static inline int64_t quota_charge(
    cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t *until_ms, int64_t cost, int64_t maximum)
{
    int64_t most = maximum < COUNT_MAX ? maximum : COUNT_MAX;
    int64_t opened_until = *until_ms < UNTIL_MAX ? *until_ms : UNTIL_MAX;
    int tries = 0;
    if (cost <= 0 || cost > most)
        return quota_peek(t, fingerprint, now_ms, until_ms, cost, maximum);
    do {
        cell seen, found, wanted, *at = table_claim(t, fingerprint, now_ms, QUOTA, &seen);
        if (at == NULL)
            continue;
        do {
            int is_open = !cell_is_announced(seen) && cell_until(seen, QUOTA) > now_ms;
            int64_t used = is_open ? quota_count(seen) : 0, until = is_open ? cell_until(seen, QUOTA) : opened_until;
            int is_admitted = cost <= most - used;
            wanted = is_admitted ? quota_cell(fingerprint, until, used + cost) : seen;
            found = cell_swap(at, seen, wanted);
            if (__builtin_expect(cell_equals(found, seen), 1)) {
                *until_ms = until;
                return is_admitted ? most - used - cost : -1;
            }
            seen = found;
        } while (cell_is_charged_for(seen, fingerprint, QUOTA) && ++tries < TRIES);
    } while (++tries < TRIES);
    table_contended(t);
    return -1;
}

/* Gives ``cost`` back to the window that ends at ``until_ms``, and to no other; whether it was still there. */
static inline int quota_refund(cell_table *t, uint64_t fingerprint, int64_t until_ms, int64_t cost)
{
    for (int tries = 0; tries < TRIES; tries++) {
        cell seen, *at = table_find(t, fingerprint, QUOTA, &seen);
        if (at == NULL || cell_is_announced(seen))
            return 0;
        int64_t count = quota_count(seen);
        int is_same = cell_until(seen, QUOTA) == until_ms; /* if not: confirmed all the same */
        cell found = cell_swap(
            at, seen, is_same ? quota_cell(fingerprint, until_ms, count > cost ? count - cost : 0) : seen);
        if (cell_equals(found, seen))
            return is_same;
    }
    table_contended(t);
    return 0;
}

#endif
