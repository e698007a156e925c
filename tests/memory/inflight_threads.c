/* Permits under threads, each in the place of a worker: for ThreadSanitizer, which sees what is read or written without
   order, and to count who holds at the same time. Rows come and go in a table that is too small, those of who waits for a
   key among them, and workers die again and again: the thread forgets what it holds and waits for, and does the
   supervisor's part for itself. Between any two accesses another one may go first, so that two cores see what would take
   many.

   usage: inflight_threads THREADS ROUNDS; prints what went wrong and ends with 1. */

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static __thread unsigned fortune;

static void let_others_go_first(void) {
    fortune = fortune * 1103515245u + 12345u;
    if (fortune >> 27 == 0)
        sched_yield();
}

#define PERMIT_STEP() let_others_go_first()
#include "tidegate/memory/inflight.h"

enum { KEYS = 12, BLOCKS = 2, THREADS_MAX = 16, MAXIMUM = 2, HELD_MAX = 8, PLACES = 2 };

static permit_view views[THREADS_MAX];
static permit_table table = {0, BLOCKS - 1};
static int64_t holders[KEYS];
static int64_t broken, admitted, refused, served;
static long rounds;

static uint64_t fingerprint(unsigned key) { return (uint64_t)(key + 1) << 40 | key; }

static const permit_rules rules = {MAXIMUM, {0}}, places = {PLACES, {0}};

/* A permit, or a place in the queue, of a key's row; who waits has his turn there, and looks at nobody. */
static int64_t count_in(const permit_view *view, uint64_t key, unsigned class, const permit_rules *bound, int64_t waiting) {
    int64_t row = permit_claim(view, &table, key), got;
    if (row < 0)
        return row;
    got = permit_acquire(view, row, key, class, bound, waiting, PERMIT_TURN);
    if (got < 0)
        permit_close(view, row);
    return got;
}

static void *work(void *argument) {
    const permit_view *view = argument;
    unsigned chance = fortune = view->holder * 2654435761u + 1;
    struct { unsigned key; int64_t row; unsigned class; } held[HELD_MAX];
    struct { unsigned key; int64_t row; unsigned class; } waits = {0, -1, 0};
    int count = 0;
    for (long i = 0; i < rounds; i++) {
        chance = chance * 1664525u + 1013904223u;
        unsigned key = (chance >> 16) % KEYS, class = (chance >> 8) % PERMIT_CLASSES;
        if (count < HELD_MAX && (chance >> 24) % 2) {
            int64_t row;
            if (waits.row >= 0 && (chance >> 25) % 2) {
                key = waits.key;
                class = waits.class;
                row = count_in(view, fingerprint(key), class, &rules, waits.row);
                if (row >= 0 || (chance >> 26) % 4 == 0) {      /* served, or he leaves */
                    permit_release_keyed(view, waits.row, class);
                    waits.row = -1;
                    __atomic_fetch_add(&served, row >= 0, __ATOMIC_RELAXED);
                }
            } else {
                uint64_t waiting = permit_waiting_fingerprint(fingerprint(key));
                row = permit_acquire_keyed(view, &table, fingerprint(key), waiting, class, &rules);
                if (row == PERMIT_REFUSED && waits.row < 0) {
                    waits.key = key;
                    waits.class = class;
                    waits.row = count_in(view, waiting, class, &places, -1);
                }
            }
            if (row < 0) {
                __atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
                continue;
            }
            if (__atomic_add_fetch(&holders[key], 1, __ATOMIC_SEQ_CST) > MAXIMUM)
                __atomic_fetch_add(&broken, 1, __ATOMIC_RELAXED);
            __atomic_fetch_add(&admitted, 1, __ATOMIC_RELAXED);
            held[count].key = key;
            held[count].row = row;
            held[count++].class = class;
        } else if (count) {
            count--;
            __atomic_sub_fetch(&holders[held[count].key], 1, __ATOMIC_SEQ_CST);
            permit_release_keyed(view, held[count].row, held[count].class);
        }
        if (chance % 1024 == 0) {       /* dies, is reaped, and begins anew */
            permit_view supervisor = *view;
            supervisor.holder = PERMIT_NOBODY - view->holder;   /* in truth there is one supervisor */
            while (count)
                __atomic_sub_fetch(&holders[held[--count].key], 1, __ATOMIC_SEQ_CST);
            for (uint64_t block = 0; block < BLOCKS; block++)
                permit_forget(&supervisor, block, view->holder);
            waits.row = -1;
        }
    }
    if (waits.row >= 0)
        permit_release_keyed(view, waits.row, waits.class);
    while (count) {
        count--;
        __atomic_sub_fetch(&holders[held[count].key], 1, __ATOMIC_SEQ_CST);
        permit_release_keyed(view, held[count].row, held[count].class);
    }
    return NULL;
}

int main(int argc, char **argv) {
    int threads = argc > 2 ? atoi(argv[1]) : 0;
    if (threads < 1 || threads > THREADS_MAX)
        return 2;
    rounds = atol(argv[2]);
    uint64_t words = PERMIT_WAYS * (1 + (uint64_t)threads), left = 0;
    uint64_t *blocks = calloc(BLOCKS * words, sizeof *blocks);
    uint8_t *chunks = calloc(1, 64);
    if (!blocks || !chunks)
        return 2;
    pthread_t running[THREADS_MAX];
    for (int i = 0; i < threads; i++) {
        views[i] = (permit_view){chunks, blocks, words, (uint32_t)threads, (uint32_t)i};
        if (pthread_create(&running[i], NULL, work, &views[i]))
            return 2;
    }
    for (int i = 0; i < threads; i++)
        pthread_join(running[i], NULL);
    for (uint64_t i = 0; i < BLOCKS * words; i++)
        left += blocks[i] != 0;
    printf("admitted %ld refused %ld served %ld broken %ld left %ld\n", (long)admitted, (long)refused, (long)served,
           (long)broken, (long)left);
    return broken || left || !admitted || !refused || !served;
}
