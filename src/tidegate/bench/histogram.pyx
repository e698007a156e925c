"""Durations by size, as HdrHistogram counts them.

Values below 2 * 10^digits (rounded up to a power of two) have a place each. Above, each doubling of the value is split
into as many equal places as there are in the upper half of that first range, so a value is known to ``digits``
significant digits from a nanosecond to an hour, in 33 * 1024 places for three digits. Which place a value has, what a
place stands for, and how quantiles and means are read off are the arithmetic of HdrHistogram 2.2
(github.com/HdrHistogram/HdrHistogram, AbstractHistogram.java), with 1 as the lowest value that is told apart; so its
tools read what ``encode`` writes, its compressed form "V2".
"""

from libc.math cimport ceil, sqrt
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import base64
import struct
import zlib
from collections import namedtuple

cdef extern from *:
    int __builtin_clzll(unsigned long long)

cdef enum:
    COOKIE = 0x1C849313             # V2, counts as ZigZag LEB128
    COMPRESSED_COOKIE = 0x1C849314  # the same, deflated
    LARGEST = 64 << 20              # bytes that a text is inflated to at most: it may come from anywhere

_HEAD = struct.Struct(">iiiiqqd")   # cookie, bytes of counts, offset, digits, lowest, highest, ratio
_ENVELOPE = struct.Struct(">ii")    # cookie, bytes that follow

Bucket = namedtuple("Bucket", "lowest highest times")


cdef class Histogram:

    def __init__(self, digits=3, uint64_t highest=3_600_000_000_000):
        cdef uint64_t untracked
        cdef int buckets = 1
        if not 1 <= digits <= 5:
            raise ValueError(f"a histogram has 1 to 5 significant digits, got {digits}")
        if self.counts != NULL:
            raise RuntimeError("a histogram is made once")
        self.digits = digits
        self.highest = highest
        self.magnitude = (2 * 10**digits - 1).bit_length() - 1
        untracked = <uint64_t>2 << self.magnitude
        if highest < untracked or highest >> 62:
            raise ValueError(f"with {digits} digits the highest value is {untracked} to 2^62 - 1, got {highest}")
        while untracked <= highest:
            untracked <<= 1
            buckets += 1
        self.size = <size_t>(buckets + 1) << self.magnitude
        self.counts = <uint64_t*>calloc(self.size, sizeof(uint64_t))
        if self.counts == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.counts)

    # -- places -------------------------------------------------------------------------------------------------------

    cdef size_t place_of(self, uint64_t value) noexcept:
        cdef int bucket
        if value > self.highest:
            value = self.highest
        bucket = 63 - self.magnitude - __builtin_clzll(value | (((<uint64_t>2) << self.magnitude) - 1))
        return (<size_t>bucket << self.magnitude) + <size_t>(value >> bucket)

    cdef uint64_t lowest_at(self, size_t place) noexcept:
        cdef size_t bucket = place >> self.magnitude
        if bucket < 2:
            return place
        return <uint64_t>(place - ((bucket - 1) << self.magnitude)) << (bucket - 1)

    cdef uint64_t width_at(self, size_t place) noexcept:
        cdef size_t bucket = place >> self.magnitude
        return 1 if bucket < 2 else <uint64_t>1 << (bucket - 1)

    # -- counting -----------------------------------------------------------------------------------------------------

    cdef void record(self, uint64_t value) noexcept:
        self.counts[self.place_of(value)] += 1
        self.total += 1

    cdef void clear(self) noexcept:
        memset(self.counts, 0, self.size * sizeof(uint64_t))
        self.total = 0

    def add(self, uint64_t value):
        self.record(value)

    def add_many(self, values):
        for value in values:
            self.record(value)

    def merge(self, Histogram other not None):
        """Adds what ``other`` holds. ValueError when it counts with other digits or another highest value."""
        cdef size_t i
        if self.digits != other.digits or self.highest != other.highest:
            raise ValueError(
                f"a histogram of {other.digits} digits up to {other.highest} cannot be added to one of {self.digits} up to "
                f"{self.highest}"
            )
        for i in range(self.size):
            self.counts[i] += other.counts[i]
        self.total += other.total

    # -- reading ------------------------------------------------------------------------------------------------------

    cdef uint64_t quantile_of(self, double share) noexcept:
        cdef uint64_t wanted, seen = 0
        cdef size_t i
        if self.total == 0:
            return 0
        # One step of a double down, as HdrHistogram does: 0.99 of 100 values are 99, whatever the product is rounded to.
        wanted = <uint64_t>ceil(share * (1.0 - 2.3e-16) * <double>self.total)
        if wanted == 0:
            wanted = 1
        for i in range(self.size):
            seen += self.counts[i]
            if seen >= wanted:
                return self.lowest_at(i) + self.width_at(i) - 1
        return self.highest

    def quantile(self, double share):
        """The value that ``share`` (0 to 1) of all do not exceed: the highest that is not told apart from it; 0 of none."""
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"a share is 0 to 1, got {share}")
        return self.quantile_of(share)

    @property
    def least(self):
        cdef size_t i
        for i in range(self.size):
            if self.counts[i] != 0:
                return self.lowest_at(i)
        return 0

    @property
    def most(self):
        return self.quantile_of(1.0)

    @property
    def mean(self):
        cdef double sum = 0.0
        cdef size_t i
        if self.total == 0:
            return 0.0
        for i in range(self.size):
            if self.counts[i] != 0:
                sum += <double>self.counts[i] * <double>(self.lowest_at(i) + (self.width_at(i) >> 1))
        return sum / <double>self.total

    @property
    def deviation(self):
        cdef double mean = self.mean, off, sum = 0.0
        cdef size_t i
        if self.total == 0:
            return 0.0
        for i in range(self.size):
            if self.counts[i] != 0:
                off = <double>(self.lowest_at(i) + (self.width_at(i) >> 1)) - mean
                sum += <double>self.counts[i] * off * off
        return sqrt(sum / <double>self.total)

    def buckets(self):
        """What there is, from the smallest up; empty places are left out."""
        cdef size_t i
        return [
            Bucket(self.lowest_at(i), self.lowest_at(i) + self.width_at(i) - 1, self.counts[i])
            for i in range(self.size) if self.counts[i] != 0
        ]

    # -- HdrHistogram's own form ----------------------------------------------------------------------------------------

    def encode(self):
        """HdrHistogram's compressed form V2 in base64 ("HISTFAAA…")."""
        cdef bytearray counts = bytearray()
        cdef size_t i = 0, end = self.size
        cdef int64_t zeros
        while end != 0 and self.counts[end - 1] == 0:
            end -= 1
        while i < end:
            zeros = 0
            while i < end and self.counts[i] == 0:
                zeros += 1
                i += 1
            if zeros > 1:
                put_zigzag(counts, -zeros)
            elif zeros == 1:
                put_zigzag(counts, 0)
            if i < end:
                put_zigzag(counts, <int64_t>self.counts[i])
                i += 1
        plain = _HEAD.pack(COOKIE, len(counts), 0, self.digits, 1, self.highest, 1.0) + counts
        deflated = zlib.compress(plain)
        return base64.b64encode(_ENVELOPE.pack(COMPRESSED_COOKIE, len(deflated)) + deflated).decode()

    @classmethod
    def decode(cls, str text not None):
        """The histogram in what ``encode``, or another of HdrHistogram's writers, wrote. ValueError when it is none."""
        cdef Histogram found
        cdef bytes counts
        cdef size_t at = 0, place = 0, size
        cdef int64_t value
        try:
            packed = base64.b64decode(text, validate=True)
            cookie, length = _ENVELOPE.unpack_from(packed)
            inflating = zlib.decompressobj()
            plain = inflating.decompress(packed[_ENVELOPE.size : _ENVELOPE.size + length], LARGEST)
            inner, size, offset, digits, lowest, highest, ratio = _HEAD.unpack_from(plain)
            found = cls(digits, highest)
        except (ValueError, OverflowError, struct.error, zlib.error) as error:
            raise ValueError(f"this is no histogram of HdrHistogram, V2 compressed: {error}") from None
        if cookie != COMPRESSED_COOKIE or inner != COOKIE or offset != 0 or lowest != 1 or len(plain) != _HEAD.size + size:
            raise ValueError("this is no histogram of HdrHistogram, V2 compressed, with 1 as its lowest value")
        counts = plain[_HEAD.size:]
        while at < size:
            value = take_zigzag(counts, size, &at)
            if value < 0:
                if 0 - <uint64_t>value > found.size - place:
                    raise ValueError("a histogram with more places than its highest value has")
                place += <size_t>(0 - <uint64_t>value)
                continue
            if place == found.size:
                raise ValueError("a histogram with more places than its highest value has")
            found.counts[place] = <uint64_t>value
            found.total += <uint64_t>value
            place += 1
        return found

    def __repr__(self):
        if self.total == 0:
            return "<Histogram of nothing>"
        return f"<Histogram of {self.total}: p50 {self.quantile_of(0.5)}, p99 {self.quantile_of(0.99)}, max {self.most}>"


cdef int put_zigzag(bytearray out, int64_t value) except -1:
    """ZigZag LEB128 of 64 bits in at most nine bytes: the ninth has eight bits of value."""
    cdef uint64_t left = (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)
    cdef int i
    for i in range(8):
        if left < 0x80:
            break
        out.append(<int>(left & 0x7F) | 0x80)
        left >>= 7
    out.append(<int>(left & 0xFF))
    return 0


cdef int64_t take_zigzag(bytes data, size_t size, size_t* at) except? -1:
    cdef const unsigned char* p = data
    cdef uint64_t value = 0
    cdef int i
    for i in range(9):
        if at[0] == size:
            raise ValueError("a histogram that ends within a count")
        value |= <uint64_t>(p[at[0]] if i == 8 else p[at[0]] & 0x7F) << (7 * i)
        at[0] += 1
        if p[at[0] - 1] < 0x80:
            break
    return <int64_t>(value >> 1) ^ -<int64_t>(value & 1)
