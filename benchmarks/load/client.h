/* One HTTP/1.1 client connection, plain or TLS, driven by epoll; shared by closed.c and paced.c.
 *
 * Rules. One exchange at a time on a connection, or --pipeline so many, sent together when all before are answered. An answer needs a Content-Length and a 2xx status (or what --expect says it
 * begins with), anything else is an error: a contender is never counted as fast for answering wrongly. Bodies are dropped in the kernel (MSG_TRUNC), and
 * uploads come out of a memfd by sendfile, so that the generator is not what is measured.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
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
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, BLOB = 16 << 20, CHUNK = 256 << 10 };

typedef enum { CLOSED, CONNECTING, SHAKING, SENDING, HEAD, BODY, ENDING, IDLE } State;
typedef enum { MORE, DONE, FAILED } Step;

typedef struct {
    int fd;
    State state;
    int wants_out;
    SSL *ssl;
    size_t sent;       /* of the head */
    uint64_t upload;   /* bytes of the request's body still to go */
    uint64_t body;     /* bytes of the answer's body still to come */
    size_t held;       /* bytes of an unfinished head in `head` */
    int awaited;       /* answers to what was sent that have not ended */
    char *head;
    int64_t intended;  /* when this exchange should have begun, ns (paced.c) */
    int64_t begun;     /* when it did */
    int answered;      /* exchanges that this connection has ended well */
    int last;          /* the answer said Connection: close */
    uint32_t server;   /* the number that the latest body began with: a worker's pid */
} Conn;

static struct {
    int port, tls, connections, reconnect, hold, renew, pipeline;
    double seconds, rate;
    const char *path, *ciphers, *raw, *key, *expect;
    unsigned long keys;
    uint64_t upload;
} option = {.connections = 64, .pipeline = 1, .seconds = 1, .path = "/small", .expect = "2", .ciphers = "TLS_AES_256_GCM_SHA384"};

static struct {
    uint64_t requests, received, sent, errors, opened, lost_idle;
    char complaint[160];
} tally;

static int epfd, blob = -1;
static char *sink;
static char request[64 << 10];
static size_t request_len;
static char *key_number; /* where in `request` it stands; NULL: all have the same key */
static SSL_CTX *tls_context;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static Step failed(const char *why) {
    tally.errors++;
    if (!tally.complaint[0]) snprintf(tally.complaint, sizeof tally.complaint, "%s", why);
    return FAILED;
}

static void arm(Conn *c, int out, int op) {
    if (op == EPOLL_CTL_MOD && c->wants_out == out) return;
    struct epoll_event ev = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
    c->wants_out = out;
    epoll_ctl(epfd, op, c->fd, &ev);
}

static void hang_up(Conn *c) {
    if (c->ssl) { SSL_free(c->ssl); c->ssl = NULL; }
    if (c->state != CLOSED) close(c->fd);
    c->state = CLOSED;
    c->held = 0;
}

static Step dial(Conn *c) {
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((uint16_t)option.port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) return failed("socket: out of descriptors");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = CONNECTING, c->held = 0, c->answered = c->last = 0, c->server = 0;
    if (connect(c->fd, (struct sockaddr *)&peer, sizeof peer) && errno != EINPROGRESS) {
        hang_up(c);
        return failed("connect refused or no local port left");
    }
    tally.opened++;
    arm(c, 1, EPOLL_CTL_ADD);
    return MORE;
}

/* What a TLS call wants; MORE after arming for it. */
static Step tls_wants(Conn *c, int result) {
    int why = SSL_get_error(c->ssl, result);
    if (why == SSL_ERROR_WANT_READ) { arm(c, 0, EPOLL_CTL_MOD); return MORE; }
    if (why == SSL_ERROR_WANT_WRITE) { arm(c, 1, EPOLL_CTL_MOD); return MORE; }
    ERR_clear_error();
    return failed("TLS failed");
}

static Step send_on(Conn *c) {
    while (c->sent < request_len) {
        ssize_t n = c->ssl ? SSL_write(c->ssl, request + c->sent, (int)(request_len - c->sent))
                           : send(c->fd, request + c->sent, request_len - c->sent, MSG_NOSIGNAL | (c->upload ? MSG_MORE : 0));
        if (n <= 0) {
            if (c->ssl) return tls_wants(c, (int)n);
            if (errno == EAGAIN) { arm(c, 1, EPOLL_CTL_MOD); return MORE; }
            return failed("send: connection lost");
        }
        c->sent += (size_t)n;
    }
    while (c->upload) {
        off_t at = 0;
        ssize_t n = c->ssl ? SSL_write(c->ssl, sink, (int)(c->upload < CHUNK ? c->upload : CHUNK))
                           : sendfile(c->fd, blob, &at, c->upload < BLOB ? c->upload : BLOB);
        if (n <= 0) {
            if (c->ssl) return tls_wants(c, (int)n);
            if (errno == EAGAIN) { arm(c, 1, EPOLL_CTL_MOD); return MORE; }
            return failed("sendfile: connection lost");
        }
        c->upload -= (uint64_t)n;
        tally.sent += (uint64_t)n;
    }
    c->state = HEAD;
    arm(c, 0, EPOLL_CTL_MOD);
    return MORE;
}

/* The next of --keys: its number, in eight digits, behind --key. */
static void number_key(void) {
    static unsigned long next;
    unsigned long number = next++ % option.keys;
    for (int i = 7; i >= 0; i--, number /= 10) key_number[i] = (char)('0' + number % 10);
}

/* Begins an exchange, or so many, on an idle connection. */
static Step begin(Conn *c) {
    if (key_number) number_key();
    c->state = SENDING, c->sent = 0, c->awaited = option.pipeline, c->upload = option.upload, c->held = 0;
    return send_on(c);
}

static Step finished(Conn *c) {
    c->answered++;
    if (--c->awaited > 0) { tally.requests++; c->state = HEAD; return MORE; }
    if (option.reconnect) { c->state = ENDING; return MORE; }
    if (option.renew && c->last) { hang_up(c); return DONE; }
    c->state = IDLE;
    return DONE;
}

static Step took_body(Conn *c, uint64_t n) {
    tally.received += n;
    c->body -= n;
    return c->body ? MORE : finished(c);
}

/* Reads a head out of `len` bytes; what follows it counts as body, and what follows that as the next answer. */
static Step read_head(Conn *c, const char *data, size_t len) {
again:;
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    if (!end) {
        if (len >= HEAD_MAX) return failed("head of the answer too large");
        if (!c->head && !(c->head = malloc(HEAD_MAX))) return failed("out of memory");
        memmove(c->head, data, len);
        c->held = len;
        return MORE;
    }
    c->held = 0;
    if (memcmp(data, "HTTP/1.1 ", 9) != 0 || strncmp(data + 9, option.expect, strlen(option.expect)) != 0) {
        char why[64];
        snprintf(why, sizeof why, "answered %.*s", 40, data);
        char *line = strchr(why, '\r');
        if (line) *line = 0;
        return failed(why);
    }
    int64_t length = -1;
    for (const char *line = data; line && line < end; ) {
        line = memchr(line, '\n', (size_t)(end - line));
        if (!line) break;
        line++;
        if ((*line | 32) != 'c') continue;
        if (strncasecmp(line, "content-length:", 15) == 0) length = strtoll(line + 15, NULL, 10);
        if (strncasecmp(line, "connection: close", 17) == 0) c->last = 1;
    }
    if (length < 0) return failed("answer without Content-Length");
    size_t extra = len - (size_t)(end + 4 - data);
    size_t rest = extra > (size_t)length ? extra - (size_t)length : 0;
    if (rest && c->awaited <= 1) return failed("more bytes than Content-Length");
    c->server = 0;
    for (const char *digit = end + 4; digit < data + len && *digit >= '0' && *digit <= '9'; digit++)
        c->server = c->server * 10 + (uint32_t)(*digit - '0');
    c->state = BODY, c->body = (uint64_t)length;
    Step step = c->body == 0 ? finished(c) : took_body(c, extra - rest);
    if (!rest) return step;
    data += len - rest, len = rest;
    goto again;
}

static ssize_t take(Conn *c, char *into, size_t len, int flags) {
    if (!c->ssl) return recv(c->fd, into, len, flags);
    int n = SSL_read(c->ssl, into, (int)len);
    if (n > 0) return n;
    int why = SSL_get_error(c->ssl, n);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) { errno = EAGAIN; return -1; }
    ERR_clear_error();
    if (why == SSL_ERROR_ZERO_RETURN) return 0;
    errno = EIO;
    return -1;
}

/* Reads until the answer is whole or nothing more is there. A TLS connection must be read dry: what its library has
 * decrypted already is not seen by epoll. */
static Step receive(Conn *c) {
    for (;;) {
        ssize_t n;
        Step step;
        if (c->state == BODY) {
            n = take(c, sink, c->body < BLOB ? c->body : (c->ssl ? CHUNK : BLOB), c->ssl ? 0 : MSG_TRUNC);
            if (n > 0) {
                step = took_body(c, (uint64_t)n);
                if (step != MORE) return step;
                continue;
            }
        } else {
            char buf[HEAD_MAX * 2];
            size_t held = c->held;
            if (held) memcpy(buf, c->head, held);
            n = take(c, buf + held, HEAD_MAX, 0);
            if (n > 0) {
                if (c->state == ENDING) return failed("bytes after the answer");
                if (c->state != HEAD) return failed("answered before it was asked");
                step = read_head(c, buf, held + (size_t)n);
                if (step != MORE) return step;
                if (c->state != HEAD || c->ssl) continue;
                return MORE;
            }
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return MORE;
        if (c->state == ENDING) { hang_up(c); return DONE; }
        if (c->state == IDLE && option.renew) { tally.lost_idle++; hang_up(c); return MORE; }
        return failed(c->state == IDLE ? "closed while idle" : "closed before the answer was whole");
    }
}

/* Carries one connection on after an event. FAILED: it was hung up and counted as an error. */
static Step step(Conn *c, uint32_t events) {
    Step result = MORE;
    if (c->state == CLOSED) return MORE;
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) result = failed(strerror(error));
        else if (option.tls) {
            c->ssl = SSL_new(tls_context);
            SSL_set_fd(c->ssl, c->fd);
            SSL_set_connect_state(c->ssl);
            c->state = SHAKING;
        } else {
            result = begin(c);
            events = 0;
        }
    }
    if (c->state == SHAKING && result == MORE) {
        int n = SSL_do_handshake(c->ssl);
        result = n == 1 ? begin(c) : tls_wants(c, n);
        events = 0;
    }
    if (result == MORE && c->state == SENDING && events & EPOLLOUT) result = send_on(c);
    if (result == MORE && c->state >= SENDING && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) result = receive(c);
    if (result == FAILED) hang_up(c);
    return result;
}

static int choose(int argc, char **argv) {
    static const struct option names[] = {
        {"port", 1, 0, 'p'}, {"tls", 0, 0, 't'}, {"connections", 1, 0, 'c'}, {"seconds", 1, 0, 's'}, {"path", 1, 0, 'a'},
        {"upload", 1, 0, 'u'}, {"reconnect", 0, 0, 'r'}, {"hold", 0, 0, 'h'}, {"rate", 1, 0, 'R'}, {"ciphers", 1, 0, 'C'},
        {"renew", 0, 0, 'n'}, {"raw", 1, 0, 'w'}, {"key", 1, 0, 'k'}, {"expect", 1, 0, 'e'},
        {"pipeline", 1, 0, 'P'},
        {"keys", 1, 0, 'K'},
        {0, 0, 0, 0}};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1; ) switch (c) {
        case 'p': option.port = atoi(optarg); break;
        case 't': option.tls = 1; break;
        case 'c': option.connections = atoi(optarg); break;
        case 's': option.seconds = atof(optarg); break;
        case 'a': option.path = optarg; break;
        case 'u': option.upload = strtoull(optarg, NULL, 10); break;
        case 'r': option.reconnect = 1; break;
        case 'h': option.hold = 1; break;
        case 'R': option.rate = atof(optarg); break;
        case 'C': option.ciphers = optarg; break;
        case 'n': option.renew = 1; break;
        case 'w': option.raw = optarg; break;
        case 'k': option.key = optarg; break;
        case 'e': option.expect = optarg; break;
        case 'P': option.pipeline = atoi(optarg); break;
        case 'K': option.keys = strtoul(optarg, NULL, 10); break;
        default: return 0;
    }
    return option.port > 0 && option.connections > 0 && option.pipeline > 0 &&
        (option.pipeline == 1 || !(option.upload || option.keys));
}

static int prepare(void) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    epfd = epoll_create1(0);
    sink = mmap(NULL, BLOB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    blob = memfd_create("blob", 0);
    if (sink == MAP_FAILED || blob < 0) return 0;
    memset(sink, 'u', CHUNK);
    if (option.upload && (ftruncate(blob, BLOB) || pwrite(blob, sink, CHUNK, 0) != CHUNK)) return 0;
    if (option.tls) {
        tls_context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_min_proto_version(tls_context, TLS1_3_VERSION);
        SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_OFF); /* every handshake is a full one */
        SSL_CTX_set_read_ahead(tls_context, 1);
        SSL_CTX_set_default_read_buffer_len(tls_context, CHUNK);
        if (!SSL_CTX_set_ciphersuites(tls_context, option.ciphers) || !SSL_CTX_set1_groups_list(tls_context, "X25519")) return 0;
    }
    char length[64] = "", key[256] = "";
    if (option.upload) snprintf(length, sizeof length, "Content-Length: %llu\r\n", (unsigned long long)option.upload);
    if (option.key) snprintf(key, sizeof key, "X-API-Key: %s%s\r\n", option.key, option.keys ? "00000000" : "");
    request_len = (size_t)snprintf(request, sizeof request,
        "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n%s%s%s\r\n",
        option.upload ? "POST" : "GET", option.path, option.port, length, key, option.reconnect ? "Connection: close\r\n" : "");
    if (option.key && option.keys) key_number = strstr(request, key) + strlen(key) - 10;
    if (request_len * (size_t)option.pipeline >= sizeof request) return 0;
    for (int i = 1; i < option.pipeline; i++) memcpy(request + (size_t)i * request_len, request, request_len);
    request_len *= (size_t)option.pipeline;
    return 1;
}

/* Tells the harness that the load is about to begin, and waits for its word, so that it reads the CPU clocks between. */
static int await_go(void) {
    char byte;
    puts("ready");
    fflush(stdout);
    return read(STDIN_FILENO, &byte, 1) == 1;
}
