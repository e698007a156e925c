/* A bare TCP relay: for each client one upstream connection, bytes copied both ways by one epoll loop.
 *
 * It is the floor of what a proxy's system calls cost (read, write, one wait), with nothing parsed and nothing logged.
 * Usage: relay LISTEN_PORT UPSTREAM_PORT.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FD = 65536, CHUNK = 256 << 10 };

typedef struct {
    int peer;        /* the other side's descriptor + 1; 0: closed */
    char *waiting;   /* bytes this side could not take yet */
    size_t from, to; /* what of them is left */
} Side;

static Side sides[MAX_FD];
static int epfd;

static void arm(int fd, uint32_t events, int op) {
    struct epoll_event ev = {.events = events, .data.fd = fd};
    epoll_ctl(epfd, op, fd, &ev);
}

static void drop(int fd) {
    int peer = sides[fd].peer - 1;
    if (peer < 0) return;
    int both[2] = {fd, peer};
    for (int i = 0; i < 2; i++) {
        free(sides[both[i]].waiting);
        memset(&sides[both[i]], 0, sizeof(Side));
        close(both[i]);
    }
}

/* Moves one read from `fd` to its peer; what the peer cannot take waits there and reading `fd` pauses. */
static void move(int fd) {
    static char buf[CHUNK];
    int peer = sides[fd].peer - 1;
    ssize_t n = recv(fd, buf, sizeof buf, 0);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) drop(fd);
        return;
    }
    ssize_t sent = send(peer, buf, (size_t)n, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) { drop(fd); return; }
    if (sent < 0) sent = 0;
    if (sent < n) {
        Side *to = &sides[peer];
        if (!to->waiting && !(to->waiting = malloc(CHUNK))) { drop(fd); return; }
        memcpy(to->waiting, buf + sent, (size_t)(n - sent));
        to->from = 0, to->to = (size_t)(n - sent);
        arm(peer, EPOLLOUT, EPOLL_CTL_MOD);
        arm(fd, 0, EPOLL_CTL_MOD);
    }
}

static void flush_to(int fd) {
    Side *to = &sides[fd];
    ssize_t n = send(fd, to->waiting + to->from, to->to - to->from, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN) drop(fd);
        return;
    }
    to->from += (size_t)n;
    if (to->from == to->to) {
        arm(fd, EPOLLIN, EPOLL_CTL_MOD);
        arm(to->peer - 1, EPOLLIN, EPOLL_CTL_MOD);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) { fprintf(stderr, "usage: relay LISTEN_PORT UPSTREAM_PORT\n"); return 2; }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, up = addr;
    addr.sin_port = htons((uint16_t)atoi(argv[1]));
    up.sin_port = htons((uint16_t)atoi(argv[2]));
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&addr, sizeof addr) || listen(listener, 4096)) { perror("listen"); return 1; }
    epfd = epoll_create1(0);
    arm(listener, EPOLLIN, EPOLL_CTL_ADD);
    struct epoll_event events[256];
    for (;;) {
        int n = epoll_wait(epfd, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (client < 0) continue;
                int server = socket(AF_INET, SOCK_STREAM, 0);
                if (server < 0 || server >= MAX_FD || client >= MAX_FD ||
                    connect(server, (struct sockaddr *)&up, sizeof up)) { close(client); close(server); continue; }
                fcntl(server, F_SETFL, O_NONBLOCK);
                setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                sides[client].peer = server + 1;
                sides[server].peer = client + 1;
                arm(client, EPOLLIN, EPOLL_CTL_ADD);
                arm(server, EPOLLIN, EPOLL_CTL_ADD);
                continue;
            }
            if (!sides[fd].peer) continue;
            if (events[i].events & EPOLLOUT) flush_to(fd);
            else if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) move(fd);
        }
    }
}
