/* Processes (or threads, with -DTHREADS, for ThreadSanitizer) that use one table of cells at once; prints what came out.

    cells_race births WORKERS BURST SETS KEYS SECONDS   all meet one new key after the other, in lock-step
    cells_race hammer WORKERS RATE BURST SECONDS        all charge one key; time is virtual unless SECONDS is negative
    cells_race quota WORKERS MAXIMUM WINDOWS            all count in one key's windows, which open one after the other
    cells_race deaths WORKERS BURST KILLS SEED          all meet new keys while some are killed and some stand still

It ends early, with what it had, when SECONDS are over. Time is virtual: so much later with each try. */
#define _GNU_SOURCE
#include "tidegate/memory/cells.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS_MAX = 16, SPINS = 2000, KEYS_MAX = 1 << 20, ROUND_KEYS = 8 };
static const int64_t START_NS = 1000000000, FOREVER_NS = (int64_t)1 << 52;

/* What the workers share besides the table. */
typedef struct {
    uint64_t at[WORKERS_MAX][8]; /* the key that a worker is at, alone in its cache line */
    uint64_t clock, step, admitted[WORKERS_MAX], tries[WORKERS_MAX], ended;
    uint64_t by_key[KEYS_MAX];
} board;

typedef struct {
    int index;
    uint64_t seed;
} worker;

static board *shared;
static void *memory;
static uint32_t sets;
static int workers;
static int64_t burst, rate, keys, windows, deadline_ns;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static uint64_t mixed(uint64_t x) /* splitmix64: a fingerprint of the key x */
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    x ^= x >> 31;
    return x >> 16 ? x : x | 0x10000;
}

static uint64_t load(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static void store(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
static uint64_t add(uint64_t *word, uint64_t amount) { return __atomic_fetch_add(word, amount, __ATOMIC_SEQ_CST); }

/* -- what a worker does ---------------------------------------------------------------------------------------------- */

/* Waits until nobody is behind ``key``; whether they came. */
static int is_met(int index, uint64_t key)
{
    store(&shared->at[index][0], key);
    for (int other = 0; other < workers; other++)
        for (int spins = 0; load(&shared->at[other][0]) < key; spins++) {
            if (spins < SPINS)
                continue;
            if (load(&shared->ended))
                return 0;
            sched_yield();
        }
    return 1;
}

static void births(worker *w)
{
    cell_table table = table_at(memory, sets);
    for (int64_t key = 1; key <= keys && is_met(w->index, (uint64_t)key); key++) {
        for (int64_t i = 0; i < burst + 2; i++)
            if (rate_charge(&table, mixed((uint64_t)key), START_NS + key, FOREVER_NS, burst * FOREVER_NS) >= 0)
                add(&shared->by_key[key % KEYS_MAX], 1);
        if (w->index == 0 && now_ns() > deadline_ns)
            store(&shared->ended, 1);
    }
    store(&shared->at[w->index][0], UINT64_MAX);
}

static void hammer(worker *w)
{
    cell_table table = table_at(memory, sets);
    int64_t interval = 1000000000 / rate, is_real = deadline_ns > 0, now;
    uint64_t admitted = 0, tries = 0;
    for (;; tries++) {
        now = is_real ? now_ns() : (int64_t)add(&shared->clock, 1000);
        if (now > (is_real ? deadline_ns : START_NS + windows))
            break;
        admitted += rate_charge(&table, mixed(1), now, interval, burst * interval) >= 0;
    }
    shared->admitted[w->index] = admitted;
    shared->tries[w->index] = tries;
}

static void quota(worker *w)
{
    cell_table table = table_at(memory, sets);
    const int64_t length_ms = 100;
    (void)w;
    for (;;) {
        int64_t now_ms = (int64_t)add(&shared->clock, 1) / 16, window = now_ms / length_ms;
        if (window >= windows)
            break;
        int64_t until_ms = (window + 1) * length_ms;
        if (quota_charge(&table, mixed(1), now_ms, &until_ms, 1, burst) >= 0)
            add(&shared->by_key[until_ms / length_ms - 1], 1);
    }
}

static void meet(worker *w) /* until killed, or all keys are used */
{
    cell_table table = table_at(memory, sets);
    uint64_t chance = w->seed;
    for (;;) {
        uint64_t step = add(&shared->step, 1), key = step / ROUND_KEYS + (chance = mixed(chance)) % 4;
        if (key >= (uint64_t)keys)
            break;
        int64_t now = START_NS + (int64_t)step * 100000; /* 1 s in 10,000 steps: announcements get old */
        int64_t verdict = rate_charge(&table, mixed(key), now, FOREVER_NS, burst * FOREVER_NS);
        if (verdict >= 0) {
            add(&shared->by_key[key], 1);
            if (chance % 7)
                continue;
            add(&shared->by_key[key], (uint64_t)-1);
            if (!rate_refund(&table, mixed(key), now, FOREVER_NS, now + verdict + FOREVER_NS))
                add(&shared->by_key[key], 1);
        }
    }
}

/* -- many of them ---------------------------------------------------------------------------------------------------- */

static void (*program)(worker *);
static worker all[WORKERS_MAX];

#ifdef THREADS
static void *run(void *w)
{
    program(w);
    return NULL;
}

static void run_all(void)
{
    pthread_t threads[WORKERS_MAX];
    for (int i = 0; i < workers; i++)
        if ((errno = pthread_create(&threads[i], NULL, run, &all[i])))
            exit(2);
    for (int i = 0; i < workers; i++)
        pthread_join(threads[i], NULL);
}
#else
static pid_t begin(int i)
{
    pid_t pid = fork();
    if (pid == 0) {
        program(&all[i]);
        _exit(0);
    }
    return pid;
}

static void run_all(void)
{
    for (int i = 0; i < workers; i++)
        if (begin(i) < 0)
            exit(2);
    while (wait(NULL) > 0)
        ;
}

/* Kills ``kills`` workers at any moment, each after it stood still now and then, and puts others in their place. */
static void run_and_kill(int kills, uint64_t seed)
{
    pid_t pids[WORKERS_MAX];
    uint64_t chance = seed;
    for (int i = 0; i < workers; i++)
        pids[i] = begin(i);
    for (int killed = 0; killed < kills && now_ns() < deadline_ns;) {
        int i = (int)((chance = mixed(chance)) % (uint64_t)workers);
        usleep((useconds_t)((chance = mixed(chance)) % 300));
        if (chance % 3) {
            kill(pids[i], SIGSTOP);
            usleep((useconds_t)((chance = mixed(chance)) % 3000));
            kill(pids[i], SIGCONT);
            continue;
        }
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
        killed++;
        all[i].seed = chance;
        pids[i] = begin(i);
        shared->admitted[0] = (uint64_t)killed;
    }
    for (int i = 0; i < workers; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
}
#endif

static void report_births(void)
{
    int64_t exact = 0, over = 0, under = 0, met = 0;
    for (int64_t key = 1; key <= keys; key++) {
        int64_t admitted = (int64_t)shared->by_key[key];
        if (admitted == 0)
            break; /* the deadline */
        met++;
        exact += admitted == burst + 1;
        over += admitted > burst + 1;
        under += admitted < burst + 1;
    }
    printf("keys %" PRId64 " exact %" PRId64 " over %" PRId64 " under %" PRId64, met, exact, over, under);
}

/* What is left of each key is charged; with what was admitted before it must be all there is, but for what a killed
   process had charged and not yet counted. */
static void report_deaths(void)
{
    cell_table table = table_at(memory, sets);
    int64_t over = 0, missing = 0, met = 0, used = (int64_t)shared->step / ROUND_KEYS + 4;
    int64_t now = START_NS + (int64_t)shared->step * 100000;
    for (int64_t key = 0; key < keys && key < used; key++) {
        int64_t admitted = (int64_t)shared->by_key[key];
        met += admitted > 0;
        while (rate_charge(&table, mixed((uint64_t)key), now, FOREVER_NS, burst * FOREVER_NS) >= 0)
            admitted++;
        over += admitted > burst + 1;
        missing += admitted < burst + 1 ? burst + 1 - admitted : 0;
    }
    printf("keys %" PRId64 " over %" PRId64 " missing %" PRId64 " killed %" PRIu64, met, over, missing,
           shared->admitted[0]);
}

static void *mapped(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        exit(2);
    return at;
}

int main(int argc, char **argv)
{
    const char *what = argc > 5 || (argc == 5 && !strcmp(argv[1], "quota")) ? argv[1] : "";
    shared = mapped(sizeof(board));
    workers = argc > 2 ? atoi(argv[2]) : 0;
    if (workers < 1 || workers > WORKERS_MAX)
        return 2;
    for (int i = 0; i < workers; i++)
        all[i] = (worker){i, (uint64_t)i + 1};
    sets = 1 << 14;
    shared->clock = 0;
    if (!strcmp(what, "births") && argc == 7) {
        burst = atoll(argv[3]);
        sets = (uint32_t)atoi(argv[4]);
        keys = atoll(argv[5]);
        deadline_ns = now_ns() + (int64_t)(atof(argv[6]) * 1e9);
        program = births;
    } else if (!strcmp(what, "hammer")) {
        double seconds = atof(argv[5]);
        rate = atoll(argv[3]);
        burst = atoll(argv[4]);
        windows = (int64_t)(seconds * 1e9);
        shared->clock = (uint64_t)START_NS;
        deadline_ns = seconds < 0 ? now_ns() - windows : 0;
        program = hammer;
    } else if (!strcmp(what, "quota")) {
        burst = atoll(argv[3]);
        windows = atoll(argv[4]);
        program = quota;
    } else if (!strcmp(what, "deaths")) {
        burst = atoll(argv[3]);
        keys = KEYS_MAX;
        sets = KEYS_MAX / 4;
        deadline_ns = now_ns() + 5 * 1000000000LL;
        program = meet;
    } else
        return 2;
    if (keys > KEYS_MAX)
        return 2;
    memory = mapped(table_size(sets));
#ifndef THREADS
    if (program == meet)
        run_and_kill(atoi(argv[4]), (uint64_t)atoll(argv[5]));
    else
#endif
        run_all();
    if (program == births)
        report_births();
    else if (program == meet)
        report_deaths();
    else if (program == quota) {
        int64_t full = 0, over = 0;
        for (int64_t window = 0; window < windows; window++) {
            full += (int64_t)shared->by_key[window] == burst;
            over += (int64_t)shared->by_key[window] > burst;
        }
        printf("windows %" PRId64 " full %" PRId64 " over %" PRId64, windows, full, over);
    } else {
        uint64_t admitted = 0, tries = 0;
        for (int i = 0; i < workers; i++) {
            admitted += shared->admitted[i];
            tries += shared->tries[i];
        }
        printf("admitted %" PRIu64 " tries %" PRIu64, admitted, tries);
    }
    cells_header *header = memory;
    printf(" evictions %" PRIu64 " contended %" PRIu64 "\n", header->evictions, header->contended);
    return 0;
}
