"""One canonical path, because a gateway that matches one spelling and sends another has no access control.

The rules (DESIGN section 12, RFC 3986 section 6.2.2):
1. Percent-encoded unreserved characters are decoded, the hex digits of what stays encoded are upper case.
2. Empty segments and dot segments are resolved, a trailing slash stays; going above the root is refused.
3. What upstreams read differently is refused unless allowed: encoded slashes, backslashes and NUL, raw backslashes,
   bytes over 127. Control bytes and broken percent signs are always refused.
4. A dot segment counts only when it stands there plainly. One that appears by decoding (``%2e%2e``), one with
   parameters (``..;x``, Tomcat drops them), and one beside an encoded separator that was allowed (``..%2F``) is refused.

``canonical_path`` of its own result is that result, and without flags ``is_canonical`` says so.
"""

from libc.stdint cimport uint8_t, uint32_t

cdef extern from "scan.h" nogil:
    enum: CLASS_TARGET
    int scan_is(char byte, int wanted)

cdef enum:
    NO_DOTS = 3                 # the part holds something besides one or two dots


cdef inline int hex_value(char byte) noexcept nogil:
    if c'0' <= byte <= c'9':
        return byte - c'0'
    if c'A' <= byte <= c'F':
        return byte - c'A' + 10
    if c'a' <= byte <= c'f':
        return byte - c'a' + 10
    return -1


cdef inline int percent_value(const char* p, const char* end) noexcept nogil:
    """The byte that the two hex digits behind a "%" at p stand for, or -1."""
    cdef int high
    cdef int low
    if end - p < 3:
        return -1
    high = hex_value(p[1])
    low = hex_value(p[2])
    return -1 if high < 0 or low < 0 else high << 4 | low


cdef inline bint is_unreserved(int byte) noexcept nogil:
    return (
        c'a' <= (byte | 0x20) <= c'z'
        or c'0' <= byte <= c'9'
        or byte == c'-'
        or byte == c'.'
        or byte == c'_'
        or byte == c'~'
    )


cdef inline bint ends_part(const char* p, const char* end) noexcept nogil:
    """Does the part of a segment end at p? At its slash, at parameters, however spelt."""
    return p == end or p[0] == c'/' or p[0] == c';' or (p[0] == c'%' and percent_value(p, end) == c';')


cdef bint is_canonical(const char* path, size_t size) noexcept nogil:
    cdef const char* p = path + 1
    cdef const char* end = path + size
    cdef const char* mark
    cdef int byte
    if size == 0 or path[0] != c'/':
        return False
    while p < end:
        if is_unreserved(<uint8_t>p[0]) and p[0] != c'.':
            p += 1
            continue
        if p[0] == c'/':
            if (p - 1)[0] == c'/':
                return False
        elif p[0] == c'.':
            if (p - 1)[0] == c'/':
                mark = p + 1
                if mark < end and mark[0] == c'.':
                    mark += 1
                if ends_part(mark, end):
                    return False
        elif p[0] == c'%':
            byte = percent_value(p, end)
            if byte <= 0 or is_unreserved(byte) or byte == c'/' or byte == c'\\':
                return False
            if p[1] >= c'a' or p[2] >= c'a':
                return False
            p += 2
        elif <uint8_t>p[0] > 0x7f or p[0] == c'\\' or not scan_is(p[0], CLASS_TARGET) and p[0] != c'#':
            return False
        p += 1
    return True


cdef inline int separator_refusal(int byte, bint encoded, int allow) noexcept nogil:
    """Why a byte that some upstream takes for a separator or an end is refused; 0 when it is allowed."""
    if byte == c'/':
        return 0 if allow & PATH_ALLOW_ENCODED_SLASH else PATH_ENCODED_SLASH
    if byte == 0:
        return 0 if allow & PATH_ALLOW_ENCODED_NUL else PATH_ENCODED_NUL
    if encoded:
        return 0 if allow & PATH_ALLOW_ENCODED_BACKSLASH else PATH_ENCODED_BACKSLASH
    return 0 if allow & PATH_ALLOW_BACKSLASH else PATH_BACKSLASH


cdef int canonical_path(const char* path, size_t size, int allow, char* out) noexcept nogil:
    cdef const char* p = path + 1
    cdef const char* end = path + size
    cdef size_t n = 1           # written so far; a segment begins behind out[n - 1] == "/"
    cdef size_t segment
    cdef int dots               # of a part that holds nothing else so far
    cdef bint hidden            # such a part is not a plain dot segment
    cdef bint encoded
    cdef int byte
    cdef int refusal
    if size == 0 or path[0] != c'/':
        return -PATH_NOT_ABSOLUTE
    out[0] = c'/'
    while True:
        segment = n
        dots = 0
        hidden = False
        while p < end and p[0] != c'/':
            encoded = p[0] == c'%'
            byte = percent_value(p, end) if encoded else <uint8_t>p[0]
            if byte < 0:
                return -PATH_BAD_PERCENT
            if not encoded and (byte <= 0x20 or byte == 0x7f):
                return -PATH_CONTROL_BYTE
            if not encoded and byte > 0x7f and not allow & PATH_ALLOW_HIGH_BYTES:
                return -PATH_HIGH_BYTE
            if byte == c'.':
                hidden |= encoded
                dots = dots + 1 if dots < NO_DOTS else NO_DOTS
            elif byte == c';':
                if dots == 1 or dots == 2:
                    return -PATH_ENCODED_DOT_SEGMENT
                dots = NO_DOTS
            elif byte == c'/' or byte == c'\\' or byte == 0:
                refusal = separator_refusal(byte, encoded, allow)
                if refusal:
                    return -refusal
                if dots == 1 or dots == 2:
                    return -PATH_ENCODED_DOT_SEGMENT
                dots = 0
                hidden = True
            else:
                dots = NO_DOTS
            if not encoded or is_unreserved(byte):
                out[n] = <char>byte
                n += 1
            else:
                out[n] = c'%'
                out[n + 1] = b"0123456789ABCDEF"[byte >> 4]
                out[n + 2] = b"0123456789ABCDEF"[byte & 15]
                n += 3
            p += 3 if encoded else 1
        if dots == 1 or dots == 2:
            if hidden:
                return -PATH_ENCODED_DOT_SEGMENT
            n = segment
            if dots == 2:
                if n == 1:
                    return -PATH_ABOVE_ROOT
                n -= 1
                while out[n - 1] != c'/':
                    n -= 1
        elif n > segment and p < end:
            out[n] = c'/'
            n += 1
        if p == end:
            return <int>n
        p += 1


cdef const char* path_refusal_name(int refusal) noexcept nogil:
    """Name of a refusal, given as it is or negated; "unknown" for anything else."""
    if refusal < 0:
        refusal = -refusal
    if refusal == PATH_BAD_PERCENT:
        return "path_bad_percent"
    elif refusal == PATH_ENCODED_SLASH:
        return "path_encoded_slash"
    elif refusal == PATH_ENCODED_BACKSLASH:
        return "path_encoded_backslash"
    elif refusal == PATH_ENCODED_NUL:
        return "path_encoded_nul"
    elif refusal == PATH_ENCODED_DOT_SEGMENT:
        return "path_encoded_dot_segment"
    elif refusal == PATH_HIGH_BYTE:
        return "path_high_byte"
    elif refusal == PATH_CONTROL_BYTE:
        return "path_control_byte"
    elif refusal == PATH_BACKSLASH:
        return "path_backslash"
    elif refusal == PATH_ABOVE_ROOT:
        return "path_above_root"
    elif refusal == PATH_NOT_ABSOLUTE:
        return "path_not_absolute"
    return "unknown"


cdef inline bint spells(const char* p, const char* end, const char* name, const char* name_end) noexcept nogil:
    """Does an encoded parameter name stand for ``name``? Decoded, or ``%75ser`` would slip past a rule for ``user``."""
    cdef int byte
    while p < end and name < name_end:
        byte = <uint8_t>p[0]
        if byte == c'%' and percent_value(p, end) >= 0:
            byte = percent_value(p, end)
            p += 2
        elif byte == c'+':
            byte = c' '
        if byte != <uint8_t>name[0]:
            return False
        p += 1
        name += 1
    return p == end and name == name_end


cdef bint query_value(const char* query, size_t size, const char* name, size_t name_size, Span* value) noexcept nogil:
    cdef const char* p = query
    cdef const char* end = query + size
    cdef const char* stop
    cdef const char* equals
    value.start = 0
    value.size = 0
    while p < end:
        stop = p
        equals = NULL
        while stop < end and stop[0] != c'&':
            if stop[0] == c'=' and equals == NULL:
                equals = stop
            stop += 1
        if stop > p and spells(p, equals if equals != NULL else stop, name, name + name_size):
            if equals != NULL:
                value.start = <uint32_t>(equals + 1 - query)
                value.size = <uint32_t>(stop - equals - 1)
            return True
        p = stop + 1
    return False


cdef bint cookie_value(const char* cookie, size_t size, const char* name, size_t name_size, Span* value) noexcept nogil:
    cdef const char* p = cookie
    cdef const char* end = cookie + size
    cdef const char* stop
    cdef size_t i
    value.start = 0
    value.size = 0
    while p < end:
        while p < end and (p[0] == c' ' or p[0] == c'\t'):
            p += 1
        i = 0
        while i < name_size and p + i < end and p[i] == name[i]:
            i += 1
        stop = p
        while stop < end and stop[0] != c';':
            stop += 1
        if i == name_size and p + i < stop and p[i] == c'=':
            p += i + 1
            while stop > p and ((stop - 1)[0] == c' ' or (stop - 1)[0] == c'\t'):
                stop -= 1
            value.start = <uint32_t>(p - cookie)
            value.size = <uint32_t>(stop - p)
            return True
        p = stop + 1
    return False
