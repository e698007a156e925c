"""Ranges of addresses whose forwarding fields are believed.

``X-Forwarded-For`` is read from its end: each trusted proxy appended whom it heard from, so the first address from the right
that is not trusted is the client, and everything left of it is the client's own invention.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset

import ipaddress

from tidegate.net.syscalls cimport AF_INET, AF_INET6

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)

cdef enum:
    LONGEST_ADDRESS = 45


cdef bint _parse(const char* text, size_t size, uint8_t* address) noexcept:
    cdef char[LONGEST_ADDRESS + 1] copy
    if size == 0 or size > LONGEST_ADDRESS:
        return False
    memcpy(copy, text, size)
    copy[size] = 0
    if inet_pton(AF_INET, copy, address + 12) == 1:
        memset(address, 0, 10)
        address[10] = address[11] = 0xff
        return True
    return inet_pton(AF_INET6, copy, address) == 1


cdef class TrustedRanges:
    """networks: texts in CIDR notation, IPv4 or IPv6. Raises ValueError for what is no range."""

    def __cinit__(self, networks=()):
        networks = [ipaddress.ip_network(network) for network in networks]
        self.ranges = <Range*>PyMem_RawCalloc(len(networks) or 1, sizeof(Range))
        if self.ranges == NULL:
            raise MemoryError
        for network in networks:
            packed = network.network_address.packed
            bits = network.prefixlen
            if network.version == 4:
                packed = b"\0" * 10 + b"\xff\xff" + packed
                bits += 96
            memcpy(self.ranges[self.count].network, <const char*>packed, 16)
            self.ranges[self.count].bits = bits
            self.count += 1

    def __dealloc__(self):
        PyMem_RawFree(self.ranges)

    cdef bint trusts(self, const char* text, size_t size) noexcept:
        cdef uint8_t[16] address
        cdef int i, whole, rest
        if self.count == 0 or not _parse(text, size, address):
            return False
        for i in range(self.count):
            whole = self.ranges[i].bits // 8
            rest = self.ranges[i].bits % 8
            if _same(address, self.ranges[i].network, whole) and (
                rest == 0 or (address[whole] ^ self.ranges[i].network[whole]) >> (8 - rest) == 0
            ):
                return True
        return False

    cdef bytes client_of(self, const char* chain, size_t size, bytes nearest, bint* goes_on):
        """The client in a list of addresses that ends with the one ``nearest`` heard from; ``nearest`` when none is usable.

        goes_on: whether all of them are trusted, so that what stands before the list is to be believed too.
        """
        cdef size_t end = size, start, stop
        cdef uint8_t[16] address
        cdef bytes client = nearest
        goes_on[0] = False
        while end > 0:
            start = end
            while start > 0 and chain[start - 1] != c",":
                start -= 1
            stop = end
            end = start - 1 if start > 0 else 0
            while start < stop and (chain[start] == c" " or chain[start] == c"\t"):
                start += 1
            while stop > start and (chain[stop - 1] == c" " or chain[stop - 1] == c"\t"):
                stop -= 1
            if stop - start > 2 and chain[start] == c"[":
                # "[v6]" or "[v6]:port"
                start += 1
                while stop > start and chain[stop] != c"]":
                    stop -= 1
            if not _parse(chain + start, stop - start, address):
                return client
            client = PyBytes_FromStringAndSize(chain + start, stop - start)
            if not self.trusts(chain + start, stop - start):
                return client
        goes_on[0] = True
        return client

    def __contains__(self, bytes address not None):
        return self.trusts(<const char*>address, len(address))

    def client(self, bytes chain not None, bytes nearest not None):
        """``client_of`` for tests and tools."""
        cdef bint goes_on
        return self.client_of(<const char*>chain, len(chain), nearest, &goes_on)


cdef inline bint _same(const uint8_t* a, const uint8_t* b, int count) noexcept:
    cdef int i
    for i in range(count):
        if a[i] != b[i]:
            return False
    return True
