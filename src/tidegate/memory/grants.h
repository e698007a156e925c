/* How many a machine may have in flight of a fleet's limit, in the cells of ``cells.h``.

Who is in flight is counted in ``inflight.h``; here is the bound that they are counted against. A key has up to three
cells in its limit's table, found by its fingerprint xor one of the constants:

    granted     permits that the store lends the machine, until the cell ends; with the turn of the question that was
                asked last
    own         what the machine allows itself while the store is away
    asked       who may ask, as in ``leases.h``

Rules, beside those of ``cells.h``:

1. A question begins with one swap, which gives the cell a turn of its own and lowers its permits to what will be asked
   for. After that those in flight are summed. So what the store is told is never less than what the machine may use.
2. Its answer is put in by a swap that finds that turn. The answer to one that was stopped, and that somebody else has
   asked behind, changes nothing; and the store lets no earlier turn change what a later one has said.
3. The cell ends GRANT_MS after the question began, by the machine's clock; the store forgets the machine GRANT_FORGOTTEN_MS
   after it has heard it. So the machine stops before its permits are lent to others.
4. Who takes a permit counts himself, and then reads the cell. One of two sees the other: who lowers the cell and sums
   those in flight, or who counts himself and reads the cell.

A turn is the time in ms that it was given out at, or one more than the last if that is more, in 24 bits: of two within
two hours it can be told which is the later. A cell that was evicted grants nothing, and the next turn is later still. */
#ifndef TIDEGATE_GRANTS_H
#define TIDEGATE_GRANTS_H

#include "tidegate/memory/leases.h"

enum {
    GRANT_MS = 4000,
    GRANT_FORGOTTEN_MS = 5000,
    GRANT_PERMIT_BITS = 16,
    GRANT_PERMITS_MAX = (1 << GRANT_PERMIT_BITS) - 1,
    GRANT_TURN_MASK = (1 << 24) - 1,
};

/* Odd 64-bit constants of xxHash and MurmurHash3: they differ in both halves, which choose the sets. */
#define GRANT_LENT 0xFF51AFD7ED558CCDULL
#define GRANT_OWN 0xC4CEB9FE1A85EC53ULL

static inline int64_t grant_permits(cell c) { return quota_count(c) & GRANT_PERMITS_MAX; }

static inline int64_t grant_turn(cell c) { return quota_count(c) >> GRANT_PERMIT_BITS & GRANT_TURN_MASK; }

/* Whether ``one`` was given out after ``other`` (RFC 1982: serial numbers). */
static inline int grant_is_later(int64_t one, int64_t other)
{
    int64_t ahead = (one - other) & GRANT_TURN_MASK;
    return ahead != 0 && ahead <= GRANT_TURN_MASK / 2;
}

static inline cell grant_cell(uint64_t key, int64_t until_ms, int64_t turn, int64_t permits)
{
    return quota_cell(key, until_ms, turn << GRANT_PERMIT_BITS | permits);
}

/* Permits that the store lends; 0 when there are none. ``until_ms`` becomes their end, if there is a cell. */
static inline int64_t grant_lent(const cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t *until_ms)
{
    return quota_used(t, fingerprint ^ GRANT_LENT, now_ms, until_ms) & GRANT_PERMITS_MAX;
}

/* What the machine allows itself. */
static inline int64_t grant_own(const cell_table *t, uint64_t fingerprint, int64_t now_ms)
{
    int64_t until = 0;
    return quota_used(t, fingerprint ^ GRANT_OWN, now_ms, &until);
}

/* How many may be in flight, of whom ``bound`` are allowed at most; what the machine allows itself may be everybody. */
static inline int64_t grant_maximum(const cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t bound)
{
    int64_t until = 0, lent = grant_lent(t, fingerprint, now_ms, &until);
    if (lent >= bound)
        return bound;
    int64_t own = grant_own(t, fingerprint, now_ms);
    return own > lent ? own : lent;
}

/* Begins a question for ``wanted`` permits (rule 1); its turn, -1: there is no room. */
static inline int64_t grant_begin(cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t wanted)
{
    uint64_t key = fingerprint ^ GRANT_LENT;
    int tries = 0;
    do {
        cell seen, found, *at = table_claim(t, key, now_ms, QUOTA, &seen);
        if (at == NULL)
            continue;
        do {
            int is_known = !cell_is_announced(seen), is_live = is_known && cell_until(seen, QUOTA) > now_ms;
            int64_t turn = now_ms & GRANT_TURN_MASK, permits = is_live ? grant_permits(seen) : 0;
            if (is_known && !grant_is_later(turn, grant_turn(seen)))
                turn = (grant_turn(seen) + 1) & GRANT_TURN_MASK;
            /* One that grants nothing may end later: it is there for its turn. */
            int64_t until = permits > 0 ? cell_until(seen, QUOTA) : now_ms + GRANT_MS;
            found = cell_swap(at, seen, grant_cell(key, until, turn, permits < wanted ? permits : wanted));
            if (cell_equals(found, seen))
                return turn;
            seen = found;
        } while (cell_is_charged_for(seen, key, QUOTA) && ++tries < TRIES);
    } while (++tries < TRIES);
    table_contended(t);
    return -1;
}

/* Puts the answer in to the question of ``turn``, which began at ``began_ms`` (rule 2); whether it counts. */
static inline int grant_put(cell_table *t, uint64_t fingerprint, int64_t began_ms, int64_t turn, int64_t permits)
{
    uint64_t key = fingerprint ^ GRANT_LENT;
    for (int tries = 0; tries < TRIES; tries++) {
        cell seen, *at = table_find(t, key, QUOTA, &seen);
        if (at == NULL || cell_is_announced(seen))
            return 0;
        int is_last = grant_turn(seen) == turn; /* if not: confirmed all the same */
        int64_t most = permits < GRANT_PERMITS_MAX ? permits : GRANT_PERMITS_MAX;
        cell found = cell_swap(at, seen, is_last ? grant_cell(key, began_ms + GRANT_MS, turn, most) : seen);
        if (cell_equals(found, seen))
            return is_last;
    }
    table_contended(t);
    return 0;
}

/* The machine allows itself ``permits`` until ``until_ms``, whatever it did before. */
static inline void grant_allow(cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t permits)
{
    lease_add(t, fingerprint ^ GRANT_OWN, now_ms, until_ms, permits, 1);
}

/* Until when somebody asks the store now; 0: nobody does. */
static inline int64_t grant_asked(const cell_table *t, uint64_t fingerprint, int64_t now_ms)
{
    int64_t until = 0;
    return quota_used(t, fingerprint ^ LEASE_ASKED, now_ms, &until) == LEASE_IS_ASKED ? until : 0;
}

#endif
