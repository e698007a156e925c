/* SHA-256 (FIPS 180-4) of a key that a client presents: on the stack, without an object and without OpenSSL, which a
 * worker that speaks no TLS does not load. Its time depends on the length of the data only.
 */
#ifndef TIDEGATE_FILTERS_SHA256_H
#define TIDEGATE_FILTERS_SHA256_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

static void sha256_block(uint32_t state[8], const uint8_t *block) {
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

/* The digest of ``size`` bytes at ``data``. */
static void sha256(const char *data, size_t size, uint8_t out[SHA256_SIZE]) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t last[2 * SHA256_BLOCK] = {0};
    size_t left = size;
    for (; left >= SHA256_BLOCK; left -= SHA256_BLOCK, data += SHA256_BLOCK) sha256_block(state, (const uint8_t *)data);
    if (left) memcpy(last, data, left);
    last[left] = 0x80;
    size_t room = left < SHA256_BLOCK - 8 ? SHA256_BLOCK : 2 * SHA256_BLOCK;
    for (int i = 0; i < 8; i++) last[room - 1 - i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
    for (size_t at = 0; at < room; at += SHA256_BLOCK) sha256_block(state, last + at);
    for (int i = 0; i < SHA256_SIZE; i++) out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

/* Whether two digests are equal, in the same time wherever they differ. */
static inline int sha256_same(const uint8_t *one, const uint8_t *other) {
    uint8_t differs = 0;
    for (int i = 0; i < SHA256_SIZE; i++) differs |= one[i] ^ other[i];
    return differs == 0;
}

#endif
