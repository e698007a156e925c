/* Permits in the shared region: rows of counts, one cell a worker slot, each cell changed by its own worker only.

   The protocol is told in inflight.pyx. Everything here is a single 64-bit word, sequentially consistent; nothing is
   locked, nothing loops without a bound. Plain C, so that a harness can run it under ThreadSanitizer. */

#ifndef TIDEGATE_INFLIGHT_H
#define TIDEGATE_INFLIGHT_H

#include <stdint.h>

#ifndef PERMIT_STEP
#define PERMIT_STEP() ((void)0) /* before each access to what is shared: where a harness lets others go first */
#endif

enum {
    PERMIT_CLASSES = 4,         /* counts in a cell, 16 bits each: the ranks of the bells */
    PERMIT_CELL_MAX = 0xFFFF,   /* of one class in one worker */
    PERMIT_WAYS = 8,            /* rows of a block: their names are one cache line */
    PERMIT_CHUNK = 64,          /* blocks that share a byte saying that one of them was ever used */
    PERMIT_NOBODY = 2047,       /* holder that is no worker slot: the supervisor */
    PERMIT_TRIES = 256,
};

/* What a try to get a permit came to, where it is no row. */
enum { PERMIT_REFUSED = -1, PERMIT_NO_ROOM = -2, PERMIT_GONE = -3 };

/* Who asks: somebody who has just come, one who has just begun to wait, or the first of those who wait, in his turn. */
enum permit_asker { PERMIT_ARRIVAL, PERMIT_SECOND_TRY, PERMIT_TURN };

/* The section as one process sees it. */
typedef struct {
    uint8_t *chunks;
    uint64_t *blocks;
    uint64_t block_words;
    uint32_t slots;
    uint32_t holder;            /* own worker slot, or PERMIT_NOBODY */
} permit_view;

/* A limit's blocks: a power of two of them. */
typedef struct {
    uint64_t first_block;
    uint64_t set_mask;
} permit_table;

typedef struct {
    uint64_t maximum;
    uint64_t guarantee[PERMIT_CLASSES];     /* what a class has a right to; together the maximum at most */
} permit_rules;

typedef struct {
    uint64_t of[PERMIT_CLASSES];
    uint64_t total;
} permit_counts;

/* The name of a row: 51 bits of its key's fingerprint, a holder, a state. 0: the row is free. */
enum { PERMIT_ANNOUNCED = 1, PERMIT_CLOSING = 2, PERMIT_LIVE = 3, PERMIT_STATE = 3 };
#define PERMIT_FINGERPRINT (~(uint64_t)0x1FFF)

static inline uint64_t permit_load(const uint64_t *word) {
    PERMIT_STEP();
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}
static inline int permit_swap(uint64_t *word, uint64_t expected, uint64_t wanted) {
    PERMIT_STEP();
    return __atomic_compare_exchange_n(word, &expected, wanted, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline uint64_t permit_live(uint64_t fingerprint) { return (fingerprint & PERMIT_FINGERPRINT) | PERMIT_LIVE; }
static inline int permit_is_of(uint64_t name, uint64_t fingerprint) {
    return name != 0 && ((name ^ fingerprint) & PERMIT_FINGERPRINT) == 0;
}
/* Who waits for a key's permits is counted in a row of its own, in the same blocks. */
static inline uint64_t permit_waiting_fingerprint(uint64_t fingerprint) { return fingerprint ^ (uint64_t)1 << 63; }
static inline uint64_t permit_marked(const permit_view *view, uint64_t fingerprint, uint64_t state) {
    return (fingerprint & PERMIT_FINGERPRINT) | (uint64_t)view->holder << 2 | state;
}
static inline uint64_t *permit_name(const permit_view *view, int64_t row) {
    return view->blocks + (uint64_t)row / PERMIT_WAYS * view->block_words + (uint64_t)row % PERMIT_WAYS;
}
static inline uint64_t *permit_cells(const permit_view *view, int64_t row) {
    uint64_t *block = view->blocks + (uint64_t)row / PERMIT_WAYS * view->block_words;
    return block + PERMIT_WAYS + (uint64_t)row % PERMIT_WAYS * view->slots;
}

/* -- counts -------------------------------------------------------------------------------------------------------- */

static inline permit_counts permit_sum(const permit_view *view, int64_t row) {
    const uint64_t *cells = permit_cells(view, row), every_other = 0x0000FFFF0000FFFF;
    uint64_t even = 0, odd = 0;
    for (uint32_t i = 0; i < view->slots; i++) {
        uint64_t cell = permit_load(cells + i);
        even += cell & every_other;
        odd += cell >> 16 & every_other;
    }
    permit_counts sum = {{(uint32_t)even, (uint32_t)odd, even >> 32, odd >> 32}, 0};
    sum.total = sum.of[0] + sum.of[1] + sum.of[2] + sum.of[3];
    return sum;
}

/* Room that a class which waits has a right to: it is not lent while somebody of that class wants it. */
static inline uint64_t permit_owed(const permit_rules *rules, const permit_counts *held, const permit_counts *waiting,
                                   unsigned class) {
    uint64_t has = held->of[class], right = rules->guarantee[class], wanted = waiting->of[class];
    uint64_t open = has < right ? right - has : 0;
    return wanted < open ? wanted : open;
}

/* Whether one permit of `class`, which `held` counts already, may be kept. Within its guarantee a class defers to
   nobody but those of its own that came before. Beyond it, to what is owed to others; and whoever has just come, to
   everybody of his class and of the more important ones who waits already. */
static inline int permit_fits(const permit_view *view, const permit_rules *rules, const permit_counts *held,
                              unsigned class, int64_t waiting_row, enum permit_asker asker) {
    if (held->total > rules->maximum)
        return 0;
    if (waiting_row < 0)
        return 1;
    permit_counts waiting = permit_sum(view, waiting_row);
    if (asker == PERMIT_SECOND_TRY && waiting.of[class])
        waiting.of[class]--;                            /* oneself */
    uint64_t before = asker == PERMIT_TURN ? 0 : waiting.of[class];
    if (held->of[class] > rules->guarantee[class])
        for (unsigned other = 0; other < PERMIT_CLASSES; other++) {
            if (other == class)
                continue;
            int precedes = other < class && asker != PERMIT_TURN;
            before += precedes ? waiting.of[other] : permit_owed(rules, held, &waiting, other);
        }
    return held->total + before <= rules->maximum;
}

/* -- one row ------------------------------------------------------------------------------------------------------- */

/* Whether the row is that of `live`; one that is being closed is restored. */
static inline int permit_keep(const permit_view *view, int64_t row, uint64_t live) {
    uint64_t *name = permit_name(view, row);
    for (int i = 0; i < PERMIT_TRIES; i++) {
        uint64_t there = permit_load(name);
        if (there == live)
            return 1;
        if (!permit_is_of(there, live) || (there & PERMIT_STATE) != PERMIT_CLOSING)
            return 0;
        if (permit_swap(name, there, live))
            return 1;
    }
    return 0;
}

/* Frees a row that nobody counts in; says whether it did. Whoever restores a row looks again: its last permit may have
   been given back by somebody who found it closing and left it to him. */
static inline int permit_close(const permit_view *view, int64_t row) {
    uint64_t *name = permit_name(view, row);
    for (int i = 0; i < PERMIT_TRIES; i++) {
        uint64_t there = permit_load(name), closing = permit_marked(view, there, PERMIT_CLOSING);
        int state = there & PERMIT_STATE;
        if ((state != PERMIT_LIVE && state != PERMIT_CLOSING) || permit_sum(view, row).total)
            return 0;
        if (!permit_swap(name, there, closing))
            return 0;
        if (permit_sum(view, row).total == 0)
            return permit_swap(name, closing, 0);
        permit_swap(name, closing, permit_live(there));
    }
    return 0;
}

/* The row, or PERMIT_REFUSED, or PERMIT_GONE: it is not the row of `fingerprint` (any more). `waiting_row` < 0: nobody
   waits. Refused is only who has looked and counted in nowhere: two that took the last permit at once have both put it
   back, and the later one to look finds it. */
static inline int64_t permit_acquire(const permit_view *view, int64_t row, uint64_t fingerprint,
                                     unsigned class, const permit_rules *rules, int64_t waiting_row,
                                     enum permit_asker asker) {
    uint64_t *own = permit_cells(view, row) + view->holder, one = (uint64_t)1 << 16 * class;
    permit_counts held;
    int fits = (permit_load(own) >> 16 * class & PERMIT_CELL_MAX) < PERMIT_CELL_MAX;
    for (int tries = 0; fits && tries < PERMIT_TRIES; tries++) {
        __atomic_fetch_add(own, one, __ATOMIC_SEQ_CST);
        int is_gone = !permit_keep(view, row, permit_live(fingerprint));
        if (!is_gone) {
            held = permit_sum(view, row);
            if (permit_fits(view, rules, &held, class, waiting_row, asker))
                return row;
        }
        __atomic_fetch_sub(own, one, __ATOMIC_SEQ_CST);
        if (is_gone)
            return PERMIT_GONE;
        held = permit_sum(view, row);
        held.of[class]++;
        held.total++;
        fits = permit_fits(view, rules, &held, class, waiting_row, asker);
    }
    return PERMIT_REFUSED;
}

/* Says whether there was a permit of that class to give back: a count never falls below zero. */
static inline int permit_release(const permit_view *view, int64_t row, unsigned class) {
    uint64_t *own = permit_cells(view, row) + view->holder;
    if ((permit_load(own) >> 16 * class & PERMIT_CELL_MAX) == 0)
        return 0;
    __atomic_fetch_sub(own, (uint64_t)1 << 16 * class, __ATOMIC_SEQ_CST);
    return 1;
}

/* -- rows by key --------------------------------------------------------------------------------------------------- */

/* The rows a key may have: PERMIT_WAYS in each of one or two blocks, in an order that is the same for everybody. */
typedef struct {
    int64_t first, second;      /* first row of each block */
    int count;
} permit_places;

static inline permit_places permit_places_of(const permit_table *table, uint64_t fingerprint) {
    uint64_t one = fingerprint & table->set_mask, other = fingerprint >> 24 & table->set_mask;
    permit_places places = {
        (int64_t)((table->first_block + one) * PERMIT_WAYS),
        (int64_t)((table->first_block + other) * PERMIT_WAYS),
        one == other ? PERMIT_WAYS : 2 * PERMIT_WAYS,
    };
    return places;
}
static inline int64_t permit_row_at(const permit_places *places, int at) {
    return at < PERMIT_WAYS ? places->first + at : places->second + at - PERMIT_WAYS;
}

/* The row of a key, -1: it has none. */
static inline int64_t permit_find(const permit_view *view, const permit_table *table, uint64_t fingerprint) {
    permit_places places = permit_places_of(table, fingerprint);
    for (int at = 0; at < places.count; at++) {
        int64_t row = permit_row_at(&places, at);
        uint64_t there = permit_load(permit_name(view, row));
        if (permit_is_of(there, fingerprint) && (there & PERMIT_STATE) != PERMIT_ANNOUNCED)
            return row;
    }
    return -1;
}

/* Looks for somebody else's row, or announcement, of the key that is announced at `own`. Returns the row to be used, -1
   when the announcement stands alone, -2 when it was taken back and one has to look anew. */
static inline int64_t permit_rival(const permit_view *view, const permit_places *places, uint64_t fingerprint,
                                   int own) {
    uint64_t announced = permit_marked(view, fingerprint, PERMIT_ANNOUNCED);
    uint64_t *name = permit_name(view, permit_row_at(places, own));
    for (int at = 0; at < places->count; at++) {
        int64_t row = permit_row_at(places, at);
        uint64_t there = permit_load(permit_name(view, row));
        if (at == own || !permit_is_of(there, fingerprint))
            continue;
        if (at > own && (there & PERMIT_STATE) == PERMIT_ANNOUNCED && permit_swap(permit_name(view, row), there, 0))
            continue;                                   /* the earlier place stays */
        permit_swap(name, announced, 0);
        return (there & PERMIT_STATE) == PERMIT_LIVE ? row : -2;
    }
    return -1;
}

/* Gives somebody who has announced the same key the time to finish; says whether he did not: dead, or stopped. */
static inline int permit_stands(const uint64_t *name, uint64_t there) {
    for (int i = 0; i < PERMIT_TRIES; i++) {
        if (permit_load(name) != there)
            return 0;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    return 1;
}

/* The row of a key, made if there is none; PERMIT_NO_ROOM when each row it could have is in use. */
static inline int64_t permit_claim(const permit_view *view, const permit_table *table, uint64_t fingerprint) {
    permit_places places = permit_places_of(table, fingerprint);
    uint64_t announced = permit_marked(view, fingerprint, PERMIT_ANNOUNCED);
    for (int tries = 0; tries < PERMIT_TRIES; tries++) {
        int own = -1, is_changed = 0, frees[2] = {0, 0}, firsts[2] = {-1, -1};
        for (int at = 0; at < places.count && own < 0 && !is_changed; at++) {
            int64_t row = permit_row_at(&places, at);
            uint64_t *name = permit_name(view, row), there = permit_load(name);
            if (there == 0 && frees[at >= PERMIT_WAYS]++ == 0)
                firsts[at >= PERMIT_WAYS] = at;
            if (!permit_is_of(there, fingerprint))
                continue;
            if ((there & PERMIT_STATE) != PERMIT_ANNOUNCED) {
                if (permit_keep(view, row, permit_live(fingerprint)))
                    return row;
            } else if (there == announced || (permit_stands(name, there) && permit_swap(name, there, announced)))
                own = at;
            is_changed = own < 0;
        }
        if (is_changed)
            continue;
        int unused = firsts[frees[1] > frees[0]];       /* the emptier block: with two to choose from few are ever full */
        if (own < 0 && unused < 0) {
            for (int at = 0; at < places.count && unused < 0; at++)
                if (permit_close(view, permit_row_at(&places, at)))     /* left empty by somebody who died */
                    unused = at;
            if (unused < 0)
                return PERMIT_NO_ROOM;
        }
        if (own < 0) {
            int64_t row = permit_row_at(&places, unused);
            uint8_t *chunk = view->chunks + (uint64_t)row / PERMIT_WAYS / PERMIT_CHUNK;
            if (!__atomic_load_n(chunk, __ATOMIC_RELAXED))
                __atomic_store_n(chunk, 1, __ATOMIC_SEQ_CST);
            if (!permit_swap(permit_name(view, row), 0, announced))
                continue;
            own = unused;
        }
        int64_t rival = permit_rival(view, &places, fingerprint, own);
        if (rival >= 0)
            return rival;
        int64_t row = permit_row_at(&places, own);
        if (rival == -1 && permit_swap(permit_name(view, row), announced, permit_live(fingerprint)))
            return row;
    }
    return PERMIT_NO_ROOM;
}

/* A permit of a key's row, which is made when there is none: that row, PERMIT_REFUSED or PERMIT_NO_ROOM. `waiting`: the
   fingerprint of those who wait for it, whom one who has just come does not overtake; 0: nobody can wait. */
static inline int64_t permit_acquire_keyed(const permit_view *view, const permit_table *table, uint64_t fingerprint,
                                           uint64_t waiting, unsigned class, const permit_rules *rules) {
    for (int tries = 0; tries < PERMIT_TRIES; tries++) {
        int64_t row = permit_claim(view, table, fingerprint);
        if (row < 0)
            return row;
        int64_t waiting_row = waiting ? permit_find(view, table, waiting) : -1;
        int64_t got = permit_acquire(view, row, fingerprint, class, rules, waiting_row, PERMIT_ARRIVAL);
        if (got >= 0)
            return got;
        permit_close(view, row);        /* whoever counted in it last, if only for a moment */
        if (got == PERMIT_REFUSED)
            return got;
    }
    return PERMIT_NO_ROOM;
}

static inline int permit_release_keyed(const permit_view *view, int64_t row, unsigned class) {
    if (!permit_release(view, row, class))
        return 0;
    if (permit_load(permit_cells(view, row) + view->holder) == 0)
        permit_close(view, row);
    return 1;
}

/* -- the dead ------------------------------------------------------------------------------------------------------ */

/* Takes everything back that a dead worker counted or announced in a block; returns the permits. */
static inline uint64_t permit_forget(const permit_view *view, uint64_t block, uint32_t slot) {
    uint64_t freed = 0;
    for (int way = 0; way < PERMIT_WAYS; way++) {
        int64_t row = (int64_t)(block * PERMIT_WAYS) + way;
        uint64_t *name = permit_name(view, row), there = permit_load(name);
        uint64_t *cell = permit_cells(view, row) + slot, held = permit_load(cell);
        if (held)
            __atomic_store_n(cell, 0, __ATOMIC_SEQ_CST);
        for (; held; held >>= 16)
            freed += held & PERMIT_CELL_MAX;
        if ((there & PERMIT_STATE) == PERMIT_ANNOUNCED && (there >> 2 & PERMIT_NOBODY) == slot)
            permit_swap(name, there, 0);
        permit_close(view, row);
    }
    return freed;
}

#endif
