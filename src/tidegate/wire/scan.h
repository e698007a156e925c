/* Byte classes and runs of HTTP/1.1, sixteen bytes at a time where SSE2 is there.
 *
 * Every run function takes the readable range [floor, end) beside its position and never reads outside it: near the
 * end it loads the last sixteen bytes of the range once more and shifts what it has seen away. Without SSE2, or in a
 * range under sixteen bytes, a table decides byte by byte.
 */
#ifndef TIDEGATE_WIRE_SCAN_H
#define TIDEGATE_WIRE_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(TIDEGATE_NO_SSE2)
#include <emmintrin.h>
#define SCAN_SSE2 1
#endif

#define SCAN_INLINE static inline __attribute__((always_inline, unused))

enum {
    CLASS_TOKEN = 1,    /* RFC 9110 tchar */
    CLASS_TARGET = 2,   /* what a request-target may hold here: no control, space, DEL or '#'; bytes over 127 pass */
    CLASS_VALUE = 4,    /* field-content: HT, SP, VCHAR, obs-text */
    CLASS_HOST = 8,     /* unreserved and sub-delims without ',' and '%' */
    CLASS_HEX = 16,
    CLASS_SIMPLE = 32,  /* letters, digits, '-': the part of CLASS_TOKEN that the vector scan knows */
    CLASS_QUOTED = 64,  /* qdtext of a quoted-string */
};

#define X_CTL 0
#define X_HT (CLASS_VALUE | CLASS_QUOTED)
#define X_VIS (CLASS_TARGET | CLASS_VALUE | CLASS_QUOTED)
#define X_TOK (X_VIS | CLASS_TOKEN)
#define X_HTK (X_TOK | CLASS_HOST)
#define X_HVS (X_VIS | CLASS_HOST)
#define X_NUM (X_HTK | CLASS_HEX | CLASS_SIMPLE)
#define X_HEX X_NUM
#define X_LET (X_HTK | CLASS_SIMPLE)
#define X_DSH (X_HTK | CLASS_SIMPLE)
#define X_RAW(n) n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n

static const uint8_t scan_class[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, X_HT, 0, 0, 0, 0, 0, 0,
    X_RAW(X_CTL),
    /* SP ! " # */ CLASS_VALUE | CLASS_QUOTED, X_HTK, CLASS_TARGET | CLASS_VALUE, CLASS_VALUE | CLASS_QUOTED | CLASS_TOKEN,
    /* $ % & ' */ X_HTK, X_TOK, X_HTK, X_HTK,
    /* ( ) * + */ X_HVS, X_HVS, X_HTK, X_HTK,
    /* , - . / */ X_VIS, X_DSH, X_HTK, X_VIS,
    X_NUM, X_NUM, X_NUM, X_NUM, X_NUM, X_NUM, X_NUM, X_NUM, X_NUM, X_NUM,
    /* : ; < = > ? */ X_VIS, X_HVS, X_VIS, X_HVS, X_VIS, X_VIS,
    /* @ */ X_VIS,
    X_HEX, X_HEX, X_HEX, X_HEX, X_HEX, X_HEX, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET,
    X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET,
    /* [ \ ] ^ _ ` */ X_VIS, CLASS_TARGET | CLASS_VALUE, X_VIS, X_TOK, X_HTK, X_TOK,
    X_HEX, X_HEX, X_HEX, X_HEX, X_HEX, X_HEX, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET,
    X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET, X_LET,
    /* { | } ~ DEL */ X_VIS, X_TOK, X_VIS, X_HTK, X_CTL,
    X_RAW(X_VIS), X_RAW(X_VIS), X_RAW(X_VIS), X_RAW(X_VIS), X_RAW(X_VIS), X_RAW(X_VIS), X_RAW(X_VIS), X_RAW(X_VIS),
};

SCAN_INLINE int scan_is(char byte, int wanted) { return (scan_class[(uint8_t)byte] & wanted) != 0; }

SCAN_INLINE const char *scan_table(const char *p, const char *end, int wanted) {
    while (p < end && scan_is(*p, wanted)) p++;
    return p;
}

#ifdef SCAN_SSE2
SCAN_INLINE __m128i scan_load(const char *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

SCAN_INLINE __m128i scan_at_most(__m128i x, int limit) {
    return _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8((char)limit)), x);
}

/* Bits of the bytes that end a run of each class. */
SCAN_INLINE uint32_t scan_ends_value(__m128i x) {
    __m128i control = _mm_andnot_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('\t')), scan_at_most(x, 0x1f));
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(control, _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f))));
}

SCAN_INLINE uint32_t scan_ends_target(__m128i x) {
    __m128i bad = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('#')), _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)));
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(scan_at_most(x, 0x20), bad));
}

SCAN_INLINE uint32_t scan_ends_simple(__m128i x) {
    __m128i letter = scan_at_most(_mm_sub_epi8(_mm_or_si128(x, _mm_set1_epi8(0x20)), _mm_set1_epi8('a')), 25);
    __m128i digit = scan_at_most(_mm_sub_epi8(x, _mm_set1_epi8('0')), 9);
    __m128i dash = _mm_cmpeq_epi8(x, _mm_set1_epi8('-'));
    return ~(uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(letter, digit), dash)) & 0xffffu;
}

#define SCAN_RUN(ends, wanted)                                                                   \
    while (end - p >= 16) {                                                                      \
        uint32_t found = ends(scan_load(p));                                                     \
        if (found) return p + __builtin_ctz(found);                                              \
        p += 16;                                                                                 \
    }                                                                                            \
    if (p < end && end - floor >= 16) {                                                          \
        uint32_t found = ends(scan_load(end - 16)) >> (16 - (end - p));                          \
        return found ? p + __builtin_ctz(found) : end;                                           \
    }                                                                                            \
    return scan_table(p, end, wanted)
#else
#define SCAN_RUN(ends, wanted) (void)floor; return scan_table(p, end, wanted)
#endif

/* First byte from p that is not of the class, or end. */
SCAN_INLINE const char *scan_value(const char *floor, const char *p, const char *end) {
    SCAN_RUN(scan_ends_value, CLASS_VALUE);
}

SCAN_INLINE const char *scan_target(const char *floor, const char *p, const char *end) {
    SCAN_RUN(scan_ends_target, CLASS_TARGET);
}

/* Stops at the first byte that is not a letter, digit or '-': ':' in nearly every field line. */
SCAN_INLINE const char *scan_simple(const char *floor, const char *p, const char *end) {
    SCAN_RUN(scan_ends_simple, CLASS_SIMPLE);
}

SCAN_INLINE const char *scan_token(const char *p, const char *end) { return scan_table(p, end, CLASS_TOKEN); }

/* Folding. Within tokens, OR 0x20 maps letters to lower case and no other token byte to a letter, a digit or '-':
 * a name of letters, digits and '-' is recognised by comparing words. */
SCAN_INLINE uint64_t fold8(const char *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word | 0x2020202020202020u;
}

SCAN_INLINE uint32_t fold4(const char *p) {
    uint32_t word;
    memcpy(&word, p, 4);
    return word | 0x20202020u;
}

/* Is the token [name, name + size) spelt ``lower``, whose length is size too? For constant lower and size. */
SCAN_INLINE int folds_to(const char *name, const char *lower, size_t size) {
    if (size >= 8) {
        int same = fold8(name) == fold8(lower) && fold8(name + size - 8) == fold8(lower + size - 8);
        return size <= 16 ? same : same && fold8(name + 8) == fold8(lower + 8);
    }
    if (size >= 4) return fold4(name) == fold4(lower) && fold4(name + size - 4) == fold4(lower + size - 4);
    for (size_t i = 0; i < size; i++)
        if ((name[i] | 0x20) != lower[i]) return 0;
    return 1;
}

/* Case folded, '_' as '-'; exact for every byte. */
SCAN_INLINE uint8_t fold_byte(char byte) {
    uint8_t c = (uint8_t)byte;
    if (c >= 'A' && c <= 'Z') return c | 0x20;
    return c == '_' ? '-' : c;
}

#endif
