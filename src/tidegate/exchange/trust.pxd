"""Ranges of addresses whose forwarding fields are believed."""

from libc.stdint cimport uint8_t

cdef struct Range:
    uint8_t[16] network         # IPv4 as mapped IPv6
    int bits

cdef class TrustedRanges:
    cdef Range* ranges
    cdef int count
    cdef bint trusts(self, const char* text, size_t size) noexcept
    cdef bytes client_of(self, const char* chain, size_t size, bytes nearest, bint* goes_on)
