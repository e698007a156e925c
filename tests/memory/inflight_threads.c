/* Permits under threads, each in the place of a worker: for ThreadSanitizer, which sees what is read or written without
   order, and to count who holds at the same time. Rows come and go in a table that is too small, and workers die again
   and again: the thread forgets what it holds, and does the supervisor's part for itself. Between any two accesses another
   one may go first, so that two cores see what would take many.

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

enum { KEYS = 12, BLOCKS = 2, THREADS_MAX = 16, MAXIMUM = 2, HELD_MAX = 8 };

static permit_view views[THREADS_MAX];
static permit_table table = {0, BLOCKS - 1};
static int64_t holders[KEYS];
static int64_t broken, admitted, refused;
static long rounds;

static uint64_t fingerprint(unsigned key) { return (uint64_t)(key + 1) << 40 | key; }

static void *work(void *argument) {
    const permit_view *view = argument;
    permit_rules rules = {MAXIMUM, {0}};
    unsigned chance = fortune = view->holder * 2654435761u + 1;
    struct { unsigned key; int64_t row; unsigned class; } held[HELD_MAX];
    int count = 0;
    for (long i = 0; i < rounds; i++) {
        chance = chance * 1664525u + 1013904223u;
        unsigned key = (chance >> 16) % KEYS, class = (chance >> 8) % PERMIT_CLASSES;
        if (count < HELD_MAX && (chance >> 24) % 2) {
            int64_t row = permit_acquire_keyed(view, &table, fingerprint(key), 0, class, &rules);
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
        }
    }
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
    printf("admitted %ld refused %ld broken %ld left %ld\n", (long)admitted, (long)refused, (long)broken, (long)left);
    return broken || left || !admitted || !refused;
}
