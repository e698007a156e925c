/* SipHash-2-4 with 64 bits of output (Aumasson and Bernstein, 2012): a keyed hash that a client who does not know the
   key cannot steer. Reference vectors: tests/memory/test_fingerprints.py. */
#ifndef TIDEGATE_SIPHASH_H
#define TIDEGATE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "written for little-endian machines"
#endif

typedef struct {
    uint64_t k0, k1;
} siphash_key;

#define SIPHASH_ROTATE(x, bits) ((x) << (bits) | (x) >> (64 - (bits)))
#define SIPHASH_ROUND(a, b, c, d) \
    do { \
        a += b; b = SIPHASH_ROTATE(b, 13) ^ a; a = SIPHASH_ROTATE(a, 32); \
        c += d; d = SIPHASH_ROTATE(d, 16) ^ c; \
        a += d; d = SIPHASH_ROTATE(d, 21) ^ a; \
        c += b; b = SIPHASH_ROTATE(b, 17) ^ c; c = SIPHASH_ROTATE(c, 32); \
    } while (0)

static inline uint64_t siphash(siphash_key key, const char *bytes, size_t size)
{
    uint64_t a = key.k0 ^ 0x736f6d6570736575, b = key.k1 ^ 0x646f72616e646f6d;
    uint64_t c = key.k0 ^ 0x6c7967656e657261, d = key.k1 ^ 0x7465646279746573;
    uint64_t block, last = (uint64_t)size << 56;
    size_t rest = size & 7;
    const char *end = bytes + (size - rest);
    for (; bytes != end; bytes += 8) {
        memcpy(&block, bytes, 8);
        d ^= block;
        SIPHASH_ROUND(a, b, c, d);
        SIPHASH_ROUND(a, b, c, d);
        a ^= block;
    }
    for (size_t i = 0; i < rest; i++)
        last |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    d ^= last;
    SIPHASH_ROUND(a, b, c, d);
    SIPHASH_ROUND(a, b, c, d);
    a ^= last;
    c ^= 0xff;
    SIPHASH_ROUND(a, b, c, d);
    SIPHASH_ROUND(a, b, c, d);
    SIPHASH_ROUND(a, b, c, d);
    SIPHASH_ROUND(a, b, c, d);
    return a ^ b ^ c ^ d;
}

#endif
