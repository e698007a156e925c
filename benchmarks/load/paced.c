/* Open loop: exchanges begin when they are due, whether or not earlier ones have ended; the time of each is counted
 * from when it was *due*, so that a stalled contender cannot hide what it did to those that waited.
 *
 * Arrivals are Poisson with a fixed seed: every contender gets the same sequence. When no connection is free the
 * exchange waits in a queue and its time runs. "late" is how late the generator itself began (with a connection free):
 * read the other figures against it. Waiting is by epoll_pwait2 with nanoseconds and a timer slack of 1 ns, never by
 * spinning, for the upstream lives on the same core.
 *
 *   paced --port P --rate R [--tls] [--connections N] [--seconds S] [--path /small] [--renew] [--reconnect] [--raw FILE]
 *
 * --renew: as a client that obeys. A connection whose answer said "Connection: close", or that the server closed while
 * it was idle, is no failure: the next exchange in its place begins with connecting, and that time counts. Connections
 * take turns, so that each is in use. --reconnect: a connection for each exchange.
 * --raw: one Record an exchange, failed ones included, in the machine's byte order.
 *
 * Same talk with the harness as closed.c; prints percentiles in microseconds.
 */
#include "client.h"

typedef struct { uint32_t *ns; size_t count, room; } Sample;

static Sample latency, late;
static Conn *conns, **free_conns; /* a ring: the one that became free last is taken first; with --renew, last */
static int free_from, free_count;
static int64_t *waiting; /* ring of due times without a connection */
static size_t waiting_from, waiting_count, waiting_most;
enum { WAITING_MAX = 1 << 20 };

typedef struct {
    int64_t due, begun, ended; /* ns on CLOCK_MONOTONIC */
    uint32_t server;           /* who has the connection, as far as its answers said; 0: it had not answered yet */
    uint16_t failed, fresh;    /* fresh: the first exchange of its connection */
} Record;

static Record *records;
static size_t record_count, record_room;
static uint64_t random_state = 0x9E3779B97F4A7C15u;

static double uniform(void) { /* xorshift64*: (0, 1] */
    random_state ^= random_state >> 12, random_state ^= random_state << 25, random_state ^= random_state >> 27;
    return ((double)((random_state * 2685821657736338717u) >> 11) + 1.0) / 9007199254740992.0;
}

/* -ln(u) without libm, by log2 of the mantissa: a few digits are enough to space arrivals. */
static double exponential(void) {
    double u = uniform(), sum = 0;
    int halvings = 0;
    while (u < 0.70710678) u *= 2, halvings++;
    double z = (u - 1) / (u + 1), power = z;
    for (int k = 1; k < 12; k += 2, power *= z * z) sum += power / k;
    return halvings * 0.6931471805599453 - 2 * sum;
}

static void note(Sample *s, int64_t ns) {
    if (s->count == s->room) return;
    s->ns[s->count++] = ns < 0 ? 0 : ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double at(const Sample *s, double share) {
    if (!s->count) return 0;
    size_t index = (size_t)(share * (double)s->count);
    return s->ns[index < s->count ? index : s->count - 1] / 1e3;
}

static void keep(const Conn *c, int has_failed, int64_t now) {
    if (record_count == record_room) return;
    records[record_count++] = (Record){.due = c->intended, .begun = c->begun, .ended = now, .server = c->server,
                                       .failed = has_failed, .fresh = c->answered == !has_failed};
}

static void put_free(Conn *c) {
    free_conns[(free_from + free_count++) % option.connections] = c;
}

static Conn *take_free(void) {
    free_count--;
    if (!option.renew) return free_conns[(free_from + free_count) % option.connections];
    Conn *c = free_conns[free_from];
    free_from = (free_from + 1) % option.connections;
    return c;
}

static void ended(Conn *c, Step result, int64_t now) {
    if (c->intended) {
        keep(c, result == FAILED, now);
        if (result != FAILED) note(&latency, now - c->intended);
    }
    c->intended = 0;
    if (result != FAILED) tally.requests++;
    else if (!option.renew) {
        if (tally.errors < 10000 && dial(c) == FAILED) hang_up(c);
        return;
    }
    put_free(c);
}

static void launch(int64_t due) {
    Conn *c = take_free();
    c->intended = due, c->begun = now_ns();
    if ((c->state == CLOSED ? dial(c) : begin(c)) != FAILED) return;
    hang_up(c);
    if (option.renew) ended(c, FAILED, now_ns());
}

static void turn(int64_t until) {
    struct epoll_event events[256];
    int64_t left = until - now_ns();
    struct timespec patience = {0};
    if (left > 0) patience.tv_sec = left / 1000000000, patience.tv_nsec = left % 1000000000;
    int n = epoll_pwait2(epfd, events, 256, &patience, NULL);
    for (int i = 0; i < n; i++) {
        Conn *c = events[i].data.ptr;
        Step result = step(c, events[i].events);
        if (result != MORE) ended(c, result, now_ns());
    }
    for (; waiting_count && free_count; waiting_count--) {
        int64_t due = waiting[waiting_from];
        waiting_from = (waiting_from + 1) % WAITING_MAX;
        launch(due);
    }
}

static void open_all(void) {
    int64_t limit = now_ns() + 30000000000;
    for (int i = 0; i < option.connections; i++) {
        dial(&conns[i]);
        while (free_count <= i && !tally.errors && now_ns() < limit) turn(limit);
    }
}

int main(int argc, char **argv) {
    if (!choose(argc, argv) || option.rate <= 0 || !prepare()) {
        fprintf(stderr, "paced: see the head of paced.c for its options\n");
        return 2;
    }
    prctl(PR_SET_TIMERSLACK, 1);
    size_t most = (size_t)(option.rate * option.seconds * 1.2) + 10000;
    latency = (Sample){calloc(most, 4), 0, most};
    late = (Sample){calloc(most, 4), 0, most};
    conns = calloc((size_t)option.connections, sizeof(Conn));
    free_conns = calloc((size_t)option.connections, sizeof(Conn *));
    waiting = calloc(WAITING_MAX, sizeof(int64_t));
    record_room = option.raw ? most : 0;
    records = calloc(record_room + 1, sizeof(Record));
    if (!latency.ns || !late.ns || !conns || !free_conns || !waiting || !records) return 1;
    memset(latency.ns, 0, most * 4), memset(late.ns, 0, most * 4); /* no page faults while measuring */
    memset(records, 0, record_room * sizeof(Record));
    open_all();
    tally.requests = tally.opened = 0;
    if (!await_go()) return 0;
    int64_t start = now_ns(), end = start + (int64_t)(option.seconds * 1e9), due = start;
    double gap = 1e9 / option.rate;
    while (due < end) {
        due += (int64_t)(exponential() * gap);
        for (int64_t now; (now = now_ns()) < due; ) turn(due);
        if (free_count) {
            note(&late, now_ns() - due);
            launch(due);
        } else if (waiting_count < WAITING_MAX) {
            waiting[(waiting_from + waiting_count++) % WAITING_MAX] = due;
            if (waiting_count > waiting_most) waiting_most = waiting_count;
        } else failed("a million exchanges waiting");
    }
    int64_t measured = now_ns() - start, patience = now_ns() + 30000000000;
    while ((free_count < option.connections || waiting_count) && now_ns() < patience) turn(patience);
    if (free_count < option.connections && !tally.errors) failed("exchanges never answered");
    uint64_t over_20ms = 0;
    for (size_t i = 0; i < latency.count; i++) over_20ms += latency.ns[i] > 20000000;
    qsort(latency.ns, latency.count, 4, by_size);
    qsort(late.ns, late.count, 4, by_size);
    if (option.raw) {
        FILE *file = fopen(option.raw, "wb");
        if (!file || fwrite(records, sizeof(Record), record_count, file) != record_count || fclose(file)) failed("--raw");
    }
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"errors\": %llu, \"received\": %llu, \"complaint\": \"%s\", "
           "\"opened\": %llu, \"lost_idle\": %llu, \"waiting_most\": %zu, \"over_20ms\": %llu, ",
           (unsigned long long)tally.requests, (double)measured / 1e9, (unsigned long long)tally.errors,
           (unsigned long long)tally.received, tally.complaint, (unsigned long long)tally.opened,
           (unsigned long long)tally.lost_idle, waiting_most, (unsigned long long)over_20ms);
    printf("\"latency_us\": {\"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, \"p99.9\": %.2f, \"max\": %.2f, "
           "\"late p50\": %.2f, \"late p99\": %.2f, \"late max\": %.2f}}\n",
           at(&latency, .5), at(&latency, .9), at(&latency, .99), at(&latency, .999), at(&latency, 1), at(&late, .5),
           at(&late, .99), at(&late, 1));
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {}
    return 0;
}
