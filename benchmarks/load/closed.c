/* Closed loop: so many connections, each with one exchange, or --pipeline so many, under way at any time.
 *
 * Opens the connections and makes one uncounted exchange on each (which also fills the contender's pool), says "ready",
 * waits for a byte, loads for --seconds, prints one line of JSON, waits for the end of its input, ends.
 *
 *   closed --port P [--tls] [--connections N] [--seconds S] [--path /small] [--upload BYTES] [--reconnect] [--hold]
 *          [--key KEY [--keys N]] [--expect STATUS] [--pipeline N]
 *
 * --reconnect: a new connection (and TLS handshake) for each exchange. --hold: only opens, and keeps them idle.
 * --key: goes with each request as X-API-Key; with --keys followed by eight digits, another number below N each time.
 * --expect: what the status of an answer begins with, 2 unless said.
 */
#include "client.h"

static Conn *conns;
static struct epoll_event events[512];

/* Runs until `until` (ns), or until `enough` exchanges have ended. */
static void run(int64_t until, uint64_t enough, int again) {
    uint64_t ended = 0;
    int64_t now = now_ns();
    for (uint32_t turn = 0; now < until && ended < enough; turn++) {
        int n = epoll_wait(epfd, events, 512, 100);
        for (int i = 0; i < n; i++) {
            Conn *c = events[i].data.ptr;
            Step result = step(c, events[i].events);
            if (result == MORE) continue;
            ended++;
            if (result == DONE) tally.requests++;
            if (!again) continue;
            if (result == FAILED && tally.errors > 10000) { ended = enough; break; }
            if (c->state == IDLE) result = begin(c);
            else result = dial(c);
            if (result == FAILED) hang_up(c);
        }
        now = now_ns();
    }
}

int main(int argc, char **argv) {
    if (!choose(argc, argv) || !prepare()) { fprintf(stderr, "closed: see the head of closed.c for its options\n"); return 2; }
    conns = calloc((size_t)option.connections, sizeof(Conn));
    int64_t limit = now_ns() + 60000000000;
    for (int at = 0; at < option.connections; ) { /* few at a time: this is no test of the listen queue */
        int batch = option.connections - at < 64 ? option.connections - at : 64;
        for (int i = 0; i < batch; i++) dial(&conns[at + i]);
        run(limit, (uint64_t)batch, 0);
        at += batch;
    }
    uint64_t failures = tally.errors;
    char complaint[sizeof tally.complaint];
    memcpy(complaint, tally.complaint, sizeof complaint);
    memset(&tally, 0, sizeof tally);
    tally.errors = failures;
    memcpy(tally.complaint, complaint, sizeof complaint);
    if (!await_go()) return 0;
    int64_t start = now_ns(), end = start;
    if (!option.hold) {
        for (int i = 0; i < option.connections; i++) {
            Conn *c = &conns[i];
            if (c->state == IDLE) { if (begin(c) == FAILED) hang_up(c); }
            else if (c->state == CLOSED) dial(c);
        }
        run(start + (int64_t)(option.seconds * 1e9), UINT64_MAX, 1);
        end = now_ns();
    }
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"errors\": %llu, \"received\": %llu, \"sent\": %llu, \"opened\": %llu, "
           "\"cipher\": \"%s\", \"complaint\": \"%s\"}\n",
           (unsigned long long)tally.requests, (double)(end - start) / 1e9, (unsigned long long)tally.errors,
           (unsigned long long)tally.received, (unsigned long long)tally.sent, (unsigned long long)tally.opened,
           conns[0].ssl ? SSL_get_cipher(conns[0].ssl) : "", tally.complaint);
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {}
    return 0;
}
