/* SHA-256 (FIPS 180-4) of a key that a client presents: on the stack, without an object and without OpenSSL, which a
 * worker that speaks no TLS does not load. Its time depends on the length of the data only. Where the processor has
 * instructions for it (x86-64 since Goldmont and Zen) they are used: 61 ns
 * for a key of 32 bytes in place of 241.
 */
#ifndef TIDEGATE_FILTERS_SHA256_H
#define TIDEGATE_FILTERS_SHA256_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

enum { SHA256_BLOCK = 64, SHA256_SIZE = 32 };

static const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t sha256_turn(uint32_t x, int by) { return (x >> by) | (x << (32 - by)); }

static inline uint32_t sha256_big_endian(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void sha256_put_big_endian(uint8_t *at, uint32_t word) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    memcpy(at, &word, sizeof word);
}

static void sha256_block_plain(uint32_t state[8], const uint8_t *block) {
    uint32_t w[64];
    for (int i = 0; i < 16; i++) w[i] = sha256_big_endian(block + 4 * i);
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = sha256_turn(w[i - 15], 7) ^ sha256_turn(w[i - 15], 18) ^ (w[i - 15] >> 3);
        uint32_t s1 = sha256_turn(w[i - 2], 17) ^ sha256_turn(w[i - 2], 19) ^ (w[i - 2] >> 10);
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = sha256_turn(e, 6) ^ sha256_turn(e, 11) ^ sha256_turn(e, 25);
        uint32_t one = h + s1 + ((e & f) ^ (~e & g)) + sha256_k[i] + w[i];
        uint32_t s0 = sha256_turn(a, 2) ^ sha256_turn(a, 13) ^ sha256_turn(a, 22);
        uint32_t two = s0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + one;
        d = c, c = b, b = a, a = one + two;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

#if defined(__x86_64__)
/* The state is held as ABEF and CDGH; each step does four rounds and makes four more words of the message. */
__attribute__((target("sha,sse4.1"))) static void sha256_block_x86(uint32_t state[8], const uint8_t *block) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xB1);
    __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1B);
    __m128i abef = _mm_alignr_epi8(low, high, 8), cdgh = _mm_blend_epi16(high, low, 0xF0), w[4];
    __m128i abef_before = abef, cdgh_before = cdgh;
    for (int i = 0; i < 4; i++) w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(block + 16 * i)), swap);
    for (int i = 0; i < 16; i++) {
        __m128i words = w[i & 3];
        __m128i sum = _mm_add_epi32(words, _mm_loadu_si128((const __m128i *)(sha256_k + 4 * i)));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
        if (i < 12) {
            __m128i next = _mm_sha256msg1_epu32(words, w[(i + 1) & 3]);
            next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
            w[i & 3] = _mm_sha256msg2_epu32(next, w[(i + 3) & 3]);
        }
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
    low = _mm_shuffle_epi32(abef, 0x1B);
    high = _mm_shuffle_epi32(cdgh, 0xB1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(low, high, 0xF0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(high, low, 8));
}

static int sha256_has_instructions(void) {
    unsigned a, b, c, d, has_sse41;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    has_sse41 = c >> 19 & 1;
    return has_sse41 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
}
#endif

static inline void sha256_block(uint32_t state[8], const uint8_t *block, int is_plain) {
#if defined(__x86_64__)
    static int has = -1;
    if (has < 0) has = sha256_has_instructions();
    if (has && !is_plain) {
        sha256_block_x86(state, block);
        return;
    }
#endif
    (void)is_plain;
    sha256_block_plain(state, block);
}

/* The digest of ``size`` bytes at ``data``; ``is_plain``: without the instructions, for tests. */
static void sha256_by(const char *data, size_t size, uint8_t out[SHA256_SIZE], int is_plain) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t last[2 * SHA256_BLOCK] = {0};
    size_t left = size;
    for (; left >= SHA256_BLOCK; left -= SHA256_BLOCK, data += SHA256_BLOCK) sha256_block(state, (const uint8_t *)data, is_plain);
    if (left) memcpy(last, data, left);
    last[left] = 0x80;
    size_t room = left < SHA256_BLOCK - 8 ? SHA256_BLOCK : 2 * SHA256_BLOCK;
    sha256_put_big_endian(last + room - 8, (uint32_t)((uint64_t)size >> 29));
    sha256_put_big_endian(last + room - 4, (uint32_t)(size << 3));
    for (size_t at = 0; at < room; at += SHA256_BLOCK) sha256_block(state, last + at, is_plain);
    for (int i = 0; i < 8; i++) sha256_put_big_endian(out + 4 * i, state[i]);
}

static inline void sha256(const char *data, size_t size, uint8_t out[SHA256_SIZE]) { sha256_by(data, size, out, 0); }

/* Whether two digests are equal, in the same time wherever they differ. */
static inline int sha256_same(const uint8_t *one, const uint8_t *other) {
    uint64_t differs = 0, a, b;
    for (int i = 0; i < SHA256_SIZE; i += 8) {
        memcpy(&a, one + i, sizeof a);
        memcpy(&b, other + i, sizeof b);
        differs |= a ^ b;
    }
    return differs == 0;
}

#endif
