"""Who is asked for: host [":" port], and nothing that two readers could split differently."""

from libc.stdint cimport uint8_t
from libc.string cimport memchr, memcpy

cdef extern from "scan.h" nogil:
    enum: CLASS_HOST
    int scan_is(char byte, int wanted)
    uint8_t fold_byte(char byte)

cdef extern from "arpa/inet.h" nogil:
    enum: AF_INET6
    int inet_pton(int family, const char* text, void* address)


cdef bint is_authority(const char* p, const char* end, const char** port) noexcept nogil:
    """Is it host [":" port]? A name may hold what RFC 3986 allows but "," and "%", and no empty label; no user
    information; a port has one to five digits. ``port`` is its first digit, or ``end``."""
    cdef char address[48]
    cdef char binary[16]
    cdef const char* close
    cdef unsigned int number = 0
    port[0] = end
    if p == end:
        return False
    if p[0] == c'[':
        close = <const char*>memchr(p, c']', end - p)
        if close == NULL or close - p > 46:
            return False
        memcpy(address, p + 1, close - p - 1)
        address[close - p - 1] = 0
        if memchr(p, 0, close - p) != NULL or inet_pton(AF_INET6, address, binary) != 1:
            return False
        p = close + 1
    else:
        if p[0] == c':' or p[0] == c'.':
            return False
        while p < end and scan_is(p[0], CLASS_HOST):
            if p[0] == c'.' and p + 1 < end and p[1] == c'.':
                return False
            p += 1
    if p == end:
        return True
    if p[0] != c':' or end - p < 2 or end - p > 6:
        return False
    p += 1
    port[0] = p
    while p < end:
        if not c'0' <= p[0] <= c'9':
            return False
        number = number * 10 + <unsigned int>(p[0] - c'0')
        p += 1
    return number <= 65535


cdef unsigned int port_number(const char* p, const char* end, unsigned int otherwise) noexcept nogil:
    cdef unsigned int number = 0
    if p == end:
        return otherwise
    while p < end:
        number = number * 10 + <unsigned int>(p[0] - c'0')
        p += 1
    return number


cdef bint same_authority(const char* a, const char* a_end, const char* b, const char* b_end,
                         unsigned int default_port) noexcept nogil:
    """Do two authorities, both already checked, name one host and port?"""
    cdef const char* a_port
    cdef const char* b_port
    cdef const char* a_host_end
    cdef const char* b_host_end
    if not is_authority(a, a_end, &a_port) or not is_authority(b, b_end, &b_port):
        return False
    a_host_end = a_port if a_port == a_end else a_port - 1
    b_host_end = b_port if b_port == b_end else b_port - 1
    if a_host_end - a != b_host_end - b:
        return False
    while a < a_host_end:
        if a[0] != b[0]:        # not fold_byte alone: in a host "_" and "-" differ
            if a[0] == c'_' or b[0] == c'_' or fold_byte(a[0]) != fold_byte(b[0]):
                return False
        a += 1
        b += 1
    return port_number(a_port, a_end, default_port) == port_number(b_port, b_end, default_port)
