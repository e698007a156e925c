"""The chunked coding, strict (RFC 9112 section 7.1): every line ends in CRLF, no white space where the grammar only
tolerates it, sizes that fit 63 bits, and a bound on everything that is not data.

One byte moves the machine one state, so it does not matter how the bytes are cut; only data is taken in runs.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "scan.h" nogil:
    enum: CLASS_TOKEN
    enum: CLASS_VALUE
    enum: CLASS_QUOTED
    int scan_is(char byte, int wanted)

cdef enum State:
    SIZE_START = 0              # the first digit of a size is due
    SIZE
    EXTENSION_NAME_START
    EXTENSION_NAME
    EXTENSION_VALUE_START
    EXTENSION_VALUE
    QUOTED
    QUOTED_ESCAPE
    QUOTED_END
    SIZE_LF
    IN_DATA
    DATA_CR
    DATA_LF
    TRAILER_START               # a trailer field or the empty line is due
    TRAILER_NAME
    TRAILER_VALUE
    TRAILER_LF
    END_LF
    ENDED

cdef enum:
    DIGITS_MAX = 16


cdef inline int hex_value(uint8_t byte) noexcept nogil:
    if c'0' <= byte <= c'9':
        return byte - c'0'
    byte |= 0x20
    if c'a' <= byte <= c'f':
        return byte - c'a' + 10
    return -1


cdef void reset_chunked(ChunkedDecoder* decoder) noexcept nogil:
    decoder.state = SIZE_START
    decoder.last = 0
    decoder.line_size = 0
    decoder.trailer_size = 0
    decoder.excess = 0
    decoder.left = 0


cdef inline int size_line_byte(ChunkedDecoder* d, uint8_t byte) noexcept nogil:
    """Moves through a size line by one byte; 0, or a negated Refusal."""
    cdef int digit
    cdef uint8_t state = d.state
    if d.line_size >= CHUNK_LINE_MAX:
        return -CHUNK_EXTENSION_TOO_LONG
    d.line_size += 1
    if state == SIZE_START or state == SIZE:
        digit = hex_value(byte)
        if digit >= 0:
            if d.line_size > DIGITS_MAX or d.left >> 59:    # sixteen times that no longer fits 63 bits
                return -CHUNK_SIZE_OVERFLOW
            d.left = d.left << 4 | <uint64_t>digit
            d.state = SIZE
            return 0
        if state == SIZE_START:
            return -BARE_LF if byte == c'\n' else -BAD_CHUNK_SIZE
    elif state == SIZE_LF:
        if byte != c'\n':
            return -BARE_CR
        d.line_size = 0
        if d.left == 0:
            d.last = 1
            d.state = TRAILER_START
        else:
            d.state = IN_DATA
        return 0
    elif state == QUOTED:
        if byte == c'"':
            d.state = QUOTED_END
        elif byte == c'\\':
            d.state = QUOTED_ESCAPE
        elif not scan_is(<char>byte, CLASS_QUOTED):
            return -BARE_LF if byte == c'\n' else -BAD_CHUNK_EXTENSION
        return 0
    elif state == QUOTED_ESCAPE:
        d.state = QUOTED
        return 0 if scan_is(<char>byte, CLASS_VALUE) else -BAD_CHUNK_EXTENSION
    elif state == EXTENSION_VALUE_START and byte == c'"':
        d.state = QUOTED
        return 0
    elif state != QUOTED_END and scan_is(<char>byte, CLASS_TOKEN):
        if state == EXTENSION_NAME_START:
            d.state = EXTENSION_NAME
        elif state == EXTENSION_VALUE_START:
            d.state = EXTENSION_VALUE
        return 0
    # What is left are the bytes between the parts; a name or a value may not be empty.
    if byte == c'\n':
        return -BARE_LF
    if state == EXTENSION_NAME_START or state == EXTENSION_VALUE_START:
        return -BAD_CHUNK_EXTENSION
    if byte == c'\r':
        d.state = SIZE_LF
    elif byte == c';':
        d.state = EXTENSION_NAME_START
    elif byte == c'=' and state == EXTENSION_NAME:
        d.state = EXTENSION_VALUE_START
    else:
        return -BAD_CHUNK_SIZE if state == SIZE else -BAD_CHUNK_EXTENSION
    return 0


cdef inline int trailer_byte(ChunkedDecoder* d, uint8_t byte) noexcept nogil:
    """Moves through the trailer section by one byte; 0, COMPLETE at its end, or a negated Refusal."""
    cdef uint8_t state = d.state
    if d.trailer_size >= TRAILER_SECTION_MAX:
        return -TRAILER_TOO_LARGE
    d.trailer_size += 1
    if state == TRAILER_VALUE:
        if byte == c'\r':
            d.state = TRAILER_LF
        elif not scan_is(<char>byte, CLASS_VALUE):
            return -BARE_LF if byte == c'\n' else -BAD_TRAILER
    elif state == TRAILER_LF:
        if byte != c'\n':
            return -BARE_CR
        d.state = TRAILER_START
    elif state == END_LF:
        if byte != c'\n':
            return -BARE_CR
        d.state = ENDED
        return COMPLETE
    elif scan_is(<char>byte, CLASS_TOKEN):
        d.state = TRAILER_NAME
    elif byte == c'\n':
        return -BARE_LF
    elif state == TRAILER_START and byte == c'\r':
        d.state = END_LF
    elif state == TRAILER_NAME and byte == c':':
        d.state = TRAILER_VALUE
    else:
        return -BAD_TRAILER
    return 0


cdef inline int charge_line(ChunkedDecoder* d, uint32_t line_size) noexcept nogil:
    """Sixteen bytes of framing a chunk are free and each byte of data pays for two; the rest adds up. A body of
    one-byte chunks passes, one that is nearly all extensions does not (Go's rule, after CVE-2023-39326)."""
    cdef uint64_t paid = 16 + (2 * d.left if d.left < CHUNK_EXCESS_MAX else 2 * CHUNK_EXCESS_MAX)
    cdef uint64_t owed = <uint64_t>d.excess + line_size + 2
    d.excess = <uint32_t>(owed - paid) if owed > paid else 0
    return -CHUNK_EXTENSION_TOO_LONG if d.excess > CHUNK_EXCESS_MAX else 0


cdef int feed_chunked(ChunkedDecoder* decoder, const char* buf, size_t size, size_t* consumed, Span* data) noexcept nogil:
    cdef size_t i = 0
    cdef uint64_t run
    cdef uint32_t line_size
    cdef int result = 0
    cdef uint8_t byte
    data.start = 0
    data.size = 0
    while i < size and result == 0:
        if decoder.state == IN_DATA:
            run = size - i
            if run > decoder.left:
                run = decoder.left
            if run > 0x7fffffff:        # a Span holds 32 bits; the rest comes with the next call
                run = 0x7fffffff
            data.start = <uint32_t>i
            data.size = <uint32_t>run
            decoder.left -= run
            i += run
            if decoder.left == 0:
                decoder.state = DATA_CR
            break
        byte = <uint8_t>buf[i]
        i += 1
        if decoder.state < IN_DATA:
            line_size = decoder.line_size + 1
            result = size_line_byte(decoder, byte)
            if result == 0 and decoder.state >= IN_DATA:
                result = charge_line(decoder, line_size)
        elif decoder.state >= TRAILER_START:
            if decoder.state == ENDED:
                i -= 1
                result = COMPLETE
            else:
                result = trailer_byte(decoder, byte)
        elif decoder.state == DATA_CR:
            if byte != c'\r':
                result = -BAD_CHUNK_END
            decoder.state = DATA_LF
        else:
            if byte != c'\n':
                result = -BAD_CHUNK_END
            decoder.state = SIZE_START
    consumed[0] = i
    return result
