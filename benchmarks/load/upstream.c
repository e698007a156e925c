/* The upstream of every measurement: the cheapest HTTP/1.1 server that still answers honestly.
 *
 * It shares its core with the load generator, so what it burns lowers the harness's ceiling: one epoll loop, one read
 * and one write for a small exchange, sendfile for large answers, MSG_TRUNC (drop without copying) for uploads.
 *
 *   GET  /small          200, 128 bytes
 *   GET  /bytes/N        200, N bytes out of a memfd
 *   POST /upload         reads Content-Length bytes and drops them, 200
 *
 * Usage: upstream PORT. Prints "ready" when it listens. Heads over 8 KB and chunked requests are refused (closed): a
 * contender that sends them would be seen as failing, not as fast.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FD = 65536, HEAD_MAX = 8192, BLOB = 16 << 20, SINK = 8 << 20 };

typedef struct {
    uint64_t to_drop;    /* bytes of the request's body still to come */
    uint64_t to_send;    /* bytes of the answer's body still to go */
    uint32_t held;       /* bytes of an unfinished head in `head` */
    uint8_t close_after; /* the peer asked for Connection: close */
    uint8_t wants_out;   /* EPOLLOUT is armed */
    char *head;          /* HEAD_MAX bytes, made when a head comes in pieces */
} Conn;

static Conn conns[MAX_FD];
static int epfd, blob;
static char *sink;
static char small[512];
static size_t small_len;

static void drop(int fd) {
    free(conns[fd].head);
    memset(&conns[fd], 0, sizeof(Conn));
    close(fd);
}

static void watch(int fd, int out) {
    if (conns[fd].wants_out == out) return;
    struct epoll_event ev = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.fd = fd};
    conns[fd].wants_out = (uint8_t)out;
    epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &ev);
}

/* Sends what it can of the answer's body; false when the connection is gone. */
static int pour(int fd) {
    Conn *c = &conns[fd];
    while (c->to_send) {
        off_t at = 0;
        ssize_t n = sendfile(fd, blob, &at, c->to_send < BLOB ? c->to_send : BLOB);
        if (n < 0) {
            if (errno == EAGAIN) { watch(fd, 1); return 1; }
            if (errno == EINTR) continue;
            return 0;
        }
        c->to_send -= (uint64_t)n;
    }
    watch(fd, 0);
    return !c->close_after;
}

static int answer(int fd, const char *data, size_t len, int flags) {
    return send(fd, data, len, flags | MSG_NOSIGNAL) == (ssize_t)len;
}

static const char *field(const char *head, size_t len, const char *name) {
    size_t n = strlen(name);
    const char *end = head + len, *line = memchr(head, '\n', len);
    while (line && line + 1 + n < end) {
        line++;
        if (strncasecmp(line, name, n) == 0) {
            line += n;
            while (*line == ' ') line++;
            return line;
        }
        line = memchr(line, '\n', (size_t)(end - line));
    }
    return NULL;
}

/* One request head, `len` bytes with the empty line; false closes the connection. */
static int serve(int fd, const char *head, size_t len) {
    Conn *c = &conns[fd];
    const char *option = field(head, len, "connection:");
    c->close_after = option && strncasecmp(option, "close", 5) == 0;
    if (memcmp(head, "GET /small", 10) == 0) return answer(fd, small, small_len, 0) && !c->close_after;
    if (memcmp(head, "GET /bytes/", 11) == 0) {
        char out[256];
        c->to_send = strtoull(head + 11, NULL, 10);
        int n = snprintf(out, sizeof out,
                         "HTTP/1.1 200 OK\r\nServer: upstream\r\nContent-Type: application/octet-stream\r\n"
                         "Content-Length: %llu\r\nETag: \"blob\"\r\n\r\n", (unsigned long long)c->to_send);
        return answer(fd, out, (size_t)n, MSG_MORE) && pour(fd);
    }
    if (memcmp(head, "POST /upload", 12) == 0) {
        const char *length = field(head, len, "content-length:");
        if (!length) return 0;
        c->to_drop = strtoull(length, NULL, 10);
        if (c->to_drop == 0) return answer(fd, small, small_len, 0) && !c->close_after;
        return 1;
    }
    static const char missing[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    return answer(fd, missing, sizeof missing - 1, 0) && !c->close_after;
}

/* Drops `n` bytes of the request's body that have arrived, and answers after the last; false closes. */
static int dropped(int fd, uint64_t n) {
    Conn *c = &conns[fd];
    c->to_drop -= n;
    return c->to_drop ? 1 : answer(fd, small, small_len, 0) && !c->close_after;
}

/* All heads and body bytes in `data`; a head in pieces is kept for the next read. */
static int consume(int fd, const char *data, size_t len) {
    Conn *c = &conns[fd];
    while (len) {
        if (c->to_drop) {
            size_t n = c->to_drop < len ? (size_t)c->to_drop : len;
            data += n, len -= n;
            if (!dropped(fd, n)) return 0;
            continue;
        }
        const char *end = memmem(data, len, "\r\n\r\n", 4);
        if (!end) {
            if (len >= HEAD_MAX) return 0;
            if (!c->head && !(c->head = malloc(HEAD_MAX))) return 0;
            memmove(c->head, data, len);
            c->held = (uint32_t)len;
            return 1;
        }
        size_t n = (size_t)(end - data) + 4;
        if (n < 16 || !serve(fd, data, n)) return 0;
        data += n, len -= n;
    }
    return 1;
}

static int readable(int fd) {
    Conn *c = &conns[fd];
    while (c->to_drop) {
        ssize_t n = recv(fd, sink, c->to_drop < SINK ? c->to_drop : SINK, MSG_TRUNC);
        if (n <= 0) return n < 0 && (errno == EAGAIN || errno == EINTR);
        if (!dropped(fd, (uint64_t)n)) return 0;
        if (!c->to_drop) return 1;
    }
    char buf[HEAD_MAX * 2];
    size_t held = c->held;
    if (held) memcpy(buf, c->head, held);
    ssize_t n = recv(fd, buf + held, HEAD_MAX, 0);
    if (n <= 0) return n < 0 && (errno == EAGAIN || errno == EINTR);
    c->held = 0;
    return consume(fd, buf, held + (size_t)n);
}

int main(int argc, char **argv) {
    if (argc != 2) { fprintf(stderr, "usage: upstream PORT\n"); return 2; }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    blob = memfd_create("blob", 0);
    sink = mmap(NULL, SINK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (blob < 0 || sink == MAP_FAILED || ftruncate(blob, BLOB) < 0) { perror("upstream"); return 1; }
    memset(sink, 'x', SINK);
    for (off_t at = 0; at < BLOB; at += SINK) if (pwrite(blob, sink, SINK, at) != SINK) { perror("blob"); return 1; }
    char body[129];
    memset(body, 'b', 128);
    body[128] = 0;
    small_len = (size_t)snprintf(small, sizeof small,
        "HTTP/1.1 200 OK\r\nServer: upstream\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: application/json\r\n"
        "Content-Length: 128\r\nCache-Control: no-store\r\nETag: \"small\"\r\n\r\n%s", body);

    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* inherited by what is accepted */
    if (bind(listener, (struct sockaddr *)&addr, sizeof addr) || listen(listener, 4096)) { perror("listen"); return 1; }
    epfd = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener}, events[256];
    epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(epfd, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int peer;
                while ((peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    if (peer >= MAX_FD) { close(peer); continue; }
                    ev.events = EPOLLIN, ev.data.fd = peer;
                    epoll_ctl(epfd, EPOLL_CTL_ADD, peer, &ev);
                }
                continue;
            }
            int alive = 1;
            if (events[i].events & EPOLLOUT) alive = pour(fd);
            if (alive && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) alive = readable(fd);
            if (!alive) drop(fd);
        }
    }
}
