"""Pieces of a log line written straight into memory: numbers, times, text that cannot break the line it stands in.

Each function writes at ``p`` and returns the end of what it wrote; the caller has made room. JSON text takes at most
``JSON_GROWTH`` times its size, log text ``TEXT_GROWTH`` times. Nothing is read beyond the bytes given.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #ifndef TIDEGATE_LINE_FORMAT
    #define TIDEGATE_LINE_FORMAT
    #include <stdint.h>
    static const char TWO_DIGITS[201] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
        "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    static const char HEX_DIGITS[17] = "0123456789abcdef";
    static const char MONTHS[37] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    /* Non-zero when one of the eight bytes is a control byte, a quote, a backslash, DEL or over 127. */
    static inline uint64_t special_bytes(uint64_t x) {
        const uint64_t ones = 0x0101010101010101ull, tops = 0x8080808080808080ull;
        uint64_t quote = x ^ (ones * 0x22), slash = x ^ (ones * 0x5c), rubout = x ^ (ones * 0x7f);
        return (((x - ones * 0x20) | (quote - ones) | (slash - ones) | (rubout - ones)) & tops) | (x & tops);
    }
    #endif
    """
    const char* TWO_DIGITS
    const char* HEX_DIGITS
    const char* MONTHS
    uint64_t special_bytes(uint64_t x) noexcept nogil

cdef enum:
    JSON_GROWTH = 6
    TEXT_GROWTH = 4
    DECIMAL_MAX = 24            # longest number
    STAMP_SIZE = 27             # 2026-11-21T22:00:00.123456Z
    COMBINED_SIZE = 26          # 21/Nov/2026:22:00:00 +0000


cdef inline bint is_special(uint8_t c) noexcept nogil:
    return c < 0x20 or c == 0x22 or c == 0x5C or c >= 0x7F


cdef inline char* put_two(char* p, uint32_t value) noexcept nogil:
    memcpy(p, TWO_DIGITS + value * 2, 2)
    return p + 2


cdef inline char* put_uint(char* p, uint64_t value) noexcept nogil:
    cdef char digits[20]
    cdef int at = 20
    if value < 10:
        p[0] = <char>(48 + value)
        return p + 1
    if value < 100:
        return put_two(p, <uint32_t>value)
    if value < 1000:
        p[0] = <char>(48 + value / 100)
        return put_two(p + 1, <uint32_t>(value % 100))
    while value >= 100:
        at -= 2
        memcpy(digits + at, TWO_DIGITS + (value % 100) * 2, 2)
        value = value / 100
    if value >= 10:
        at -= 2
        memcpy(digits + at, TWO_DIGITS + value * 2, 2)
    else:
        at -= 1
        digits[at] = <char>(48 + value)
    memcpy(p, digits + at, 20 - at)
    return p + 20 - at


cdef inline char* put_thousandths(char* p, uint64_t value) noexcept nogil:
    # 12345 -> 12.345
    cdef uint32_t rest = <uint32_t>(value % 1000)
    p = put_uint(p, value / 1000)
    p[0] = c'.'
    p[1] = <char>(48 + rest / 100)
    return put_two(p + 2, rest % 100)


cdef inline void civil_date(int64_t days, int64_t* year, uint32_t* month, uint32_t* day) noexcept nogil:
    # Days since 1970-01-01 to the Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms").
    cdef int64_t shifted = days + 719468
    cdef int64_t era = (shifted if shifted >= 0 else shifted - 146096) / 146097
    cdef uint32_t of_era = <uint32_t>(shifted - era * 146097)
    cdef uint32_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365
    cdef uint32_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100)
    cdef uint32_t shifted_month = (5 * of_year + 2) / 153
    day[0] = of_year - (153 * shifted_month + 2) / 5 + 1
    month[0] = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year[0] = <int64_t>year_of_era + era * 400 + (1 if month[0] <= 2 else 0)


cdef inline char* put_clock(char* p, int64_t second_of_day) noexcept nogil:
    p = put_two(p, <uint32_t>(second_of_day / 3600))
    p[0] = c':'
    p = put_two(p + 1, <uint32_t>(second_of_day / 60 % 60))
    p[0] = c':'
    return put_two(p + 1, <uint32_t>(second_of_day % 60))


cdef inline char* put_second(char* p, int64_t second) noexcept nogil:
    # 2026-11-21T22:00:00, 19 bytes, for seconds of the years 1970 to 9999.
    cdef int64_t year
    cdef uint32_t month, day
    civil_date(second / 86400, &year, &month, &day)
    p = put_two(put_two(p, <uint32_t>(year / 100)), <uint32_t>(year % 100))
    p[0] = c'-'
    p = put_two(p + 1, month)
    p[0] = c'-'
    p = put_two(p + 1, day)
    p[0] = c'T'
    return put_clock(p + 1, second % 86400)


cdef inline char* put_combined_second(char* p, int64_t second) noexcept nogil:
    # 21/Nov/2026:22:00:00 +0000, 26 bytes.
    cdef int64_t year
    cdef uint32_t month, day
    civil_date(second / 86400, &year, &month, &day)
    p = put_two(p, day)
    p[0] = c'/'
    memcpy(p + 1, MONTHS + (month - 1) * 3, 3)
    p[4] = c'/'
    p = put_two(put_two(p + 5, <uint32_t>(year / 100)), <uint32_t>(year % 100))
    p[0] = c':'
    p = put_clock(p + 1, second % 86400)
    memcpy(p, b" +0000", 6)
    return p + 6


cdef inline uint32_t utf8_size(const uint8_t* s, size_t left) noexcept nogil:
    # Bytes of the well-formed UTF-8 sequence at ``s`` (Unicode table 3-7), 0 when there is none.
    cdef uint8_t c = s[0]
    if c < 0xC2 or c > 0xF4:
        return 0
    if c < 0xE0:
        return 2 if left >= 2 and s[1] & 0xC0 == 0x80 else 0
    if c < 0xF0:
        if left < 3 or s[1] & 0xC0 != 0x80 or s[2] & 0xC0 != 0x80:
            return 0
        return 0 if (c == 0xE0 and s[1] < 0xA0) or (c == 0xED and s[1] > 0x9F) else 3
    if left < 4 or s[1] & 0xC0 != 0x80 or s[2] & 0xC0 != 0x80 or s[3] & 0xC0 != 0x80:
        return 0
    return 0 if (c == 0xF0 and s[1] < 0x90) or (c == 0xF4 and s[1] > 0x8F) else 4


cdef inline char* put_u00(char* p, uint8_t c) noexcept nogil:
    memcpy(p, b"\\u00", 4)
    p[4] = HEX_DIGITS[c >> 4]
    p[5] = HEX_DIGITS[c & 15]
    return p + 6


cdef inline const uint8_t* put_json_special(char** at, const uint8_t* s, const uint8_t* end) noexcept nogil:
    # One character that cannot be copied without a look; returns what follows it.
    cdef char* p = at[0]
    cdef uint8_t c = s[0]
    cdef uint32_t size
    if c == 0x22 or c == 0x5C:
        p[0] = c'\\'
        p[1] = <char>c
        at[0] = p + 2
        return s + 1
    if c >= 0x80:
        size = utf8_size(s, end - s)
        # C1 controls steer terminals and U+2028/2029 end a line for some readers: escaped although JSON allows them.
        if size == 2 and c == 0xC2 and s[1] < 0xA0:
            at[0] = put_u00(p, s[1])
            return s + 2
        if size == 3 and c == 0xE2 and s[1] == 0x80 and s[2] & 0xFE == 0xA8:
            memcpy(p, b"\\u202", 5)
            p[5] = HEX_DIGITS[s[2] & 15]
            at[0] = p + 6
            return s + 3
        if size:
            memcpy(p, s, size)
            at[0] = p + size
            return s + size
    at[0] = put_u00(p, c)           # control bytes, DEL, and what is not UTF-8 as if it were Latin-1
    return s + 1


cdef inline char* put_json_text(char* p, const char* text, size_t size) noexcept nogil:
    # The inside of a JSON string, whatever the bytes are.
    cdef const uint8_t* s = <const uint8_t*>text
    cdef const uint8_t* end = s + size
    cdef uint64_t eight
    while end - s >= 8:
        memcpy(&eight, s, 8)
        if special_bytes(eight) == 0:
            memcpy(p, &eight, 8)
            p += 8
            s += 8
            continue
        while not is_special(s[0]):
            p[0] = <char>s[0]
            p += 1
            s += 1
        s = put_json_special(&p, s, end)
    while s < end:
        if is_special(s[0]):
            s = put_json_special(&p, s, end)
        else:
            p[0] = <char>s[0]
            p += 1
            s += 1
    return p


cdef inline char* put_log_text(char* p, const char* text, size_t size) noexcept nogil:
    # For format strings: quotes, backslashes, control bytes and bytes over 126 as \xHH, the way nginx does.
    cdef const uint8_t* s = <const uint8_t*>text
    cdef const uint8_t* end = s + size
    while s < end:
        if is_special(s[0]):
            p[0] = c'\\'
            p[1] = c'x'
            p[2] = HEX_DIGITS[s[0] >> 4]
            p[3] = HEX_DIGITS[s[0] & 15]
            p += 4
        else:
            p[0] = <char>s[0]
            p += 1
        s += 1
    return p
