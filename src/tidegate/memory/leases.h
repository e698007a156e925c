/* What a machine has borrowed of a fleet's limit: credits of a key, in the cells of ``cells.h``.

A key has up to five cells in its limit's table, all of the kind of a quota (end, count), found by its fingerprint
xor one of the constants below:

    even, odd   credits that were borrowed in an epoch of that parity; they end with the epoch behind it
    asked       who may ask the store until the cell ends: 0 anybody, 1 nobody, as somebody does, 1 + c only who has a
                cost of less than c, as there is not so much
    share       what the machine has lent to itself in a window, while the store is away
    held        of a quota, what it has had of the store's window, to tell it again if it forgets

Rules, beside those of ``cells.h``:

1. A credit is used once: it is taken by the swap that lowers the count.
2. A cell whose end is not that of its epoch is an older epoch's, and holds nothing. So no credit outlives the epoch
   behind the one that it was borrowed in: LEASE_MS at most, whoever was stopped or died meanwhile.
3. The older epoch is used up first: who borrows in time loses nothing to the end of an epoch.
4. A cell that was evicted held credits that nobody can use any more: the fleet lets in fewer, never more.
5. Who dies while it asks holds the others up until its mark ends. */
#ifndef TIDEGATE_LEASES_H
#define TIDEGATE_LEASES_H

#include "tidegate/memory/cells.h"

enum {
    LEASE_EPOCH_MS = 500,
    LEASE_MS = 2 * LEASE_EPOCH_MS,
    LEASE_ASKED_MS = 500, /* how long a question keeps others from asking: a little longer than its answer is waited for */
    LEASE_MAY_ASK = 0,
    LEASE_IS_ASKED = 1,
};

/* Odd 64-bit constants of xxHash: they differ in both halves, which choose the sets. */
#define LEASE_EVEN 0x9E3779B185EBCA87ULL
#define LEASE_ODD 0xC2B2AE3D27D4EB4FULL
#define LEASE_ASKED 0x165667B19E3779F9ULL
#define LEASE_SHARE 0x85EBCA77C2B2AE63ULL
#define LEASE_HELD 0x27D4EB2F165667C5ULL

static inline uint64_t lease_key(uint64_t fingerprint, int64_t epoch)
{
    return fingerprint ^ (epoch & 1 ? LEASE_ODD : LEASE_EVEN);
}

static inline int64_t lease_until(int64_t epoch) { return (epoch + 2) * LEASE_EPOCH_MS; }

/* The credits of one epoch; 0 when there are none, or it is over. */
static inline int64_t lease_credits(const cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t epoch)
{
    int64_t until = 0, credits = quota_used(t, lease_key(fingerprint, epoch), now_ms, &until);
    return until == lease_until(epoch) ? credits : 0;
}

/* Takes ``cost`` out of the cell of one epoch; whether it had so much. */
static inline int lease_take_of(cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t epoch, int64_t cost)
{
    uint64_t key = lease_key(fingerprint, epoch);
    int64_t until = lease_until(epoch);
    for (int tries = 0; tries < TRIES; tries++) {
        cell seen, *at = table_find(t, key, QUOTA, &seen);
        if (at == NULL || cell_is_announced(seen))
            return 0;
        int has = cell_until(seen, QUOTA) == until && until > now_ms && quota_count(seen) >= cost;
        cell found = cell_swap(at, seen, has ? quota_cell(key, until, quota_count(seen) - cost) : seen);
        if (cell_equals(found, seen))
            return has; /* if it has not: confirmed all the same */
    }
    table_contended(t);
    return 0;
}

/* Takes ``cost`` credits of one epoch, the older one first. The epoch they were of; -1: neither has so many. */
static inline int64_t lease_take(cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t cost)
{
    int64_t epoch = now_ms / LEASE_EPOCH_MS;
    for (int64_t one = epoch - 1; one <= epoch; one++)
        if (lease_take_of(t, fingerprint, now_ms, one, cost))
            return one;
    return -1;
}

/* Adds to the count of a cell that ends at ``until_ms``, or opens it with as many; a cell of another end gives way.
   With ``is_set`` the count becomes ``count`` whatever it was. */
static inline void lease_add(
    cell_table *t, uint64_t key, int64_t now_ms, int64_t until_ms, int64_t count, int is_set)
{
    int tries = 0;
    do {
        cell seen, found, *at = table_claim(t, key, now_ms, QUOTA, &seen);
        if (at == NULL)
            continue;
        do {
            int is_same = !is_set && !cell_is_announced(seen) && cell_until(seen, QUOTA) == until_ms;
            int64_t before = is_same ? quota_count(seen) : 0;
            int64_t after = count < COUNT_MAX - before ? before + count : COUNT_MAX;
            found = cell_swap(at, seen, quota_cell(key, until_ms, after));
            if (cell_equals(found, seen))
                return;
            seen = found;
        } while (cell_is_charged_for(seen, key, QUOTA) && ++tries < TRIES);
    } while (++tries < TRIES);
    table_contended(t);
}

/* Credits that were borrowed when ``epoch`` was the current one. */
static inline void lease_put(cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t epoch, int64_t credits)
{
    if (lease_until(epoch) > now_ms)
        lease_add(t, lease_key(fingerprint, epoch), now_ms, lease_until(epoch), credits, 0);
}

/* Takes all that is left of an epoch: it is over, or given back. */
static inline int64_t lease_end(cell_table *t, uint64_t fingerprint, int64_t epoch)
{
    uint64_t key = lease_key(fingerprint, epoch);
    for (int tries = 0; tries < TRIES; tries++) {
        cell seen, *at = table_find(t, key, QUOTA, &seen);
        if (at == NULL || cell_is_announced(seen))
            return 0;
        int is_same = cell_until(seen, QUOTA) == lease_until(epoch);
        cell found = cell_swap(at, seen, is_same ? quota_cell(key, lease_until(epoch), 0) : seen);
        if (cell_equals(found, seen))
            return is_same ? quota_count(seen) : 0;
    }
    table_contended(t);
    return 0;
}

static inline int lease_is_closed_for(int64_t state, int64_t cost)
{
    return state > LEASE_IS_ASKED && cost >= state - LEASE_IS_ASKED;
}

/* Until when nobody asks the store for so much, as it has said that there is not; 0: it may be asked. */
static inline int64_t lease_closed(const cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t cost)
{
    int64_t until = 0;
    return lease_is_closed_for(quota_used(t, fingerprint ^ LEASE_ASKED, now_ms, &until), cost) ? until : 0;
}

/* Whether the caller is the one to ask for ``cost`` and more, until ``until_ms`` at most. */
static inline int lease_ask(cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t cost)
{
    uint64_t key = fingerprint ^ LEASE_ASKED;
    int tries = 0;
    do {
        cell seen, found, *at = table_claim(t, key, now_ms, QUOTA, &seen);
        if (at == NULL)
            continue;
        do {
            int is_open = !cell_is_announced(seen) && cell_until(seen, QUOTA) > now_ms;
            int64_t state = is_open ? quota_count(seen) : LEASE_MAY_ASK;
            int is_taken = state == LEASE_IS_ASKED || lease_is_closed_for(state, cost);
            found = cell_swap(at, seen, is_taken ? seen : quota_cell(key, until_ms, LEASE_IS_ASKED));
            if (cell_equals(found, seen))
                return !is_taken;
            seen = found;
        } while (cell_is_charged_for(seen, key, QUOTA) && ++tries < TRIES);
    } while (++tries < TRIES);
    table_contended(t);
    return 0;
}

/* Lets anybody ask. */
static inline void lease_free(cell_table *t, uint64_t fingerprint, int64_t now_ms)
{
    lease_add(t, fingerprint ^ LEASE_ASKED, now_ms, now_ms, LEASE_MAY_ASK, 1);
}

/* Lets nobody ask until ``until_ms`` who has a cost of ``least`` or more. */
static inline void lease_close(cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t least)
{
    lease_add(t, fingerprint ^ LEASE_ASKED, now_ms, until_ms, LEASE_IS_ASKED + (least > 1 ? least : 1), 1);
}

/* Lends up to ``wanted`` of the machine's own share, of which there are ``maximum`` in a window that ends at
   ``until_ms`` if it is opened now; how many. */
static inline int64_t lease_share(
    cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t *until_ms, int64_t wanted, int64_t maximum)
{
    int64_t window = *until_ms, left;
    for (int tries = 0; tries < TRIES && wanted > 0; tries++) {
        *until_ms = window;
        if (quota_charge(t, fingerprint ^ LEASE_SHARE, now_ms, until_ms, wanted, maximum) >= 0)
            return wanted;
        left = quota_peek(t, fingerprint ^ LEASE_SHARE, now_ms, until_ms, 0, maximum);
        wanted = left < wanted ? left : wanted;
    }
    return 0;
}

/* What the machine has of a quota's window, and when that ends; 0: nothing. */
static inline int64_t lease_held(const cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t *until_ms)
{
    return quota_used(t, fingerprint ^ LEASE_HELD, now_ms, until_ms);
}

/* It has ``by`` more of it, or less; a window that is opened now ends at ``until_ms``. */
static inline void lease_hold(cell_table *t, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t by)
{
    uint64_t key = fingerprint ^ LEASE_HELD;
    if (by >= 0)
        quota_charge(t, key, now_ms, &until_ms, by, COUNT_MAX);
    else if (quota_used(t, key, now_ms, &until_ms) > 0)
        quota_refund(t, key, until_ms, -by);
}

#endif
