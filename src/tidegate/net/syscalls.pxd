"""The system calls and constants that the data plane uses, as the kernel's headers spell them."""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from "<sys/epoll.h>" nogil:
    enum: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR, EPOLLET, EPOLLEXCLUSIVE
    enum: EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLL_CLOEXEC
    ctypedef union epoll_data_t:
        void* ptr
        int fd
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout)

cdef extern from "<sys/socket.h>" nogil:
    enum: SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC, MSG_NOSIGNAL, MSG_DONTWAIT, MSG_PEEK, MSG_MORE
    enum: AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX, SOL_SOCKET, SO_ERROR, SO_KEEPALIVE, SO_LINGER, SHUT_WR, SHUT_RDWR
    ctypedef unsigned int socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct sockaddr_storage:
        unsigned short ss_family
    struct msghdr:
        void* msg_name
        socklen_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    struct linger_option "linger":
        int l_onoff
        int l_linger
    int socket(int domain, int type, int protocol)
    int connect(int fd, const sockaddr* addr, socklen_t size)
    int bind(int fd, const sockaddr* addr, socklen_t size)
    int accept4(int fd, sockaddr* addr, socklen_t* size, int flags)
    ssize_t recv(int fd, void* buf, size_t size, int flags)
    ssize_t send(int fd, const void* buf, size_t size, int flags)
    ssize_t sendmsg(int fd, const msghdr* message, int flags)
    int shutdown(int fd, int how)
    int getsockname(int fd, sockaddr* addr, socklen_t* size)
    int getsockopt(int fd, int level, int name, void* value, socklen_t* size)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t size)

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len

cdef extern from "<netinet/in.h>" nogil:
    enum: IPPROTO_IP, IPPROTO_TCP, INET6_ADDRSTRLEN, IP_BIND_ADDRESS_NO_PORT
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        unsigned char s6_addr[16]
    struct sockaddr_in:
        unsigned short sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_port
        in6_addr sin6_addr
    unsigned short ntohs(unsigned short value)

cdef extern from "<netinet/tcp.h>" nogil:
    enum: TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT, TCP_QUICKACK, TCP_INFO
    struct tcp_info:
        uint32_t tcpi_last_data_recv        # milliseconds
        uint32_t tcpi_rtt                   # microseconds, smoothed
        uint32_t tcpi_total_retrans         # segments since it was opened

cdef extern from "<arpa/inet.h>" nogil:
    const char* inet_ntop(int family, const void* address, char* text, socklen_t size)

cdef extern from "<unistd.h>" nogil:
    int close(int fd)
    int pipe2(int* ends, int flags)
    ssize_t read(int fd, void* buf, size_t size)

cdef extern from "<sys/ioctl.h>" nogil:
    int ioctl(int fd, unsigned long request, ...)

cdef extern from "<linux/sockios.h>" nogil:
    enum: SIOCOUTQ

cdef extern from "<fcntl.h>" nogil:
    enum: O_NONBLOCK, O_CLOEXEC, F_SETPIPE_SZ, SPLICE_F_MOVE, SPLICE_F_NONBLOCK
    int fcntl(int fd, int command, ...)
    ssize_t splice(int fd_in, void* off_in, int fd_out, void* off_out, size_t size, unsigned int flags)

cdef extern from "<errno.h>" nogil:
    int errno
    enum: EAGAIN, EINTR, EINPROGRESS, EPIPE, ECONNRESET, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL
    enum: ECONNREFUSED, ETIMEDOUT, EPROTO, ENOTCONN, EPERM

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    enum: CLOCK_MONOTONIC, CLOCK_REALTIME
    int clock_gettime(int clock, timespec* time)
