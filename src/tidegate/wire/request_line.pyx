"""Method, target and version, and the four forms a target may have (RFC 9112 section 3).

Exactly one space stands between the parts. A target holds no control byte, space or "#"; bytes over 127 pass here and
are a matter of the path (``target``). CONNECT is refused in any case of its letters: this is no forward proxy.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcmp

from tidegate.wire.authority cimport is_authority
from tidegate.wire.http1 cimport *
from tidegate.wire.lines cimport DONE, INCOMPLETE, find, line_end_refusal, span

cdef extern from "scan.h" nogil:
    enum: CLASS_TOKEN
    int scan_is(char byte, int wanted)
    const char* scan_target(const char* floor, const char* p, const char* end)
    const char* scan_token(const char* p, const char* end)
    int folds_to(const char* name, const char* lower, size_t size)


cdef uint8_t method_id(const char* text, size_t size) noexcept nogil:
    if size == 3:
        if memcmp(text, b"GET", 3) == 0:
            return METHOD_GET
        if memcmp(text, b"PUT", 3) == 0:
            return METHOD_PUT
    elif size == 4:
        if memcmp(text, b"POST", 4) == 0:
            return METHOD_POST
        if memcmp(text, b"HEAD", 4) == 0:
            return METHOD_HEAD
    elif size == 5:
        if memcmp(text, b"PATCH", 5) == 0:
            return METHOD_PATCH
        if memcmp(text, b"TRACE", 5) == 0:
            return METHOD_TRACE
    elif size == 6:
        if memcmp(text, b"DELETE", 6) == 0:
            return METHOD_DELETE
    elif size == 7:
        if memcmp(text, b"OPTIONS", 7) == 0:
            return METHOD_OPTIONS
        if folds_to(text, b"connect", 7):    # in any case: an upstream that folds would open a tunnel
            return METHOD_CONNECT
    return METHOD_OTHER


cdef int read_version(const char* p, const char* end) noexcept nogil:
    """Minor version plus one of what stands behind the target, or a negated Refusal, or INCOMPLETE."""
    cdef const char* lf
    cdef const char* line_end
    if end - p >= 10 and memcmp(p, b"HTTP/1.1\r\n", 10) == 0:
        return 2
    lf = find(p, end, c'\n')
    if lf == NULL:
        return INCOMPLETE
    if lf == p or (lf - 1)[0] != c'\r':
        return -BARE_LF
    line_end = lf - 1
    if find(p, line_end, c'\r') != NULL:
        return -BARE_CR
    if p == line_end or find(p, line_end, c' ') != NULL or find(p, line_end, c'\t') != NULL:
        return -BAD_REQUEST_LINE
    return version_number(p, line_end, BAD_VERSION)


cdef int version_number(const char* p, const char* end, int otherwise) noexcept nogil:
    if end - p != 8 or memcmp(p, b"HTTP/", 5) != 0 or p[6] != c'.':
        return -otherwise
    if not (c'0' <= p[5] <= c'9' and c'0' <= p[7] <= c'9'):
        return -otherwise
    if p[5] != c'1' or p[7] > c'1':
        return -UNSUPPORTED_VERSION
    return p[7] - c'0' + 1


cdef int read_target(const char* buf, RequestHead* head) noexcept nogil:
    """Form, path, query and (absolute-form) host of a target whose bytes are already checked."""
    cdef const char* p = buf + head.target.start
    cdef const char* end = p + head.target.size
    cdef const char* authority
    cdef const char* port
    cdef const char* mark
    if head.method == METHOD_CONNECT:
        return -CONNECT_REFUSED
    if p[0] != c'/':
        if head.target.size == 1 and p[0] == c'*' and head.method == METHOD_OPTIONS:
            head.target_form = TARGET_ASTERISK
            head.path = head.target
            return DONE
        if head.target.size > 8 and folds_to(p, b"https://", 8):
            authority = p + 8
        elif head.target.size > 7 and folds_to(p, b"http://", 7):
            authority = p + 7
        else:
            return -BAD_TARGET
        head.target_form = TARGET_ABSOLUTE
        p = authority
        while p < end and p[0] != c'/' and p[0] != c'?':
            p += 1
        if not is_authority(authority, p, &port):
            return -BAD_TARGET
        head.host = span(buf, authority, p)
        if p == end or p[0] == c'?':    # no path: the last slash of "://" stands for "/"
            head.path = span(buf, authority - 1, authority)
            if p < end:
                head.query = span(buf, p + 1, end)
            return DONE
    mark = find(p, end, c'?')
    if mark == NULL:
        head.path = span(buf, p, end)
    else:
        head.path = span(buf, p, mark)
        head.query = span(buf, mark + 1, end)
    return DONE


cdef int read_request_line(const char* buf, uint32_t at, const char* end, const HeadLimits* limits,
                           RequestHead* head) noexcept nogil:
    cdef const char* line = buf + at
    cdef const char* p = scan_token(line, end)
    cdef const char* target
    cdef const char* bound
    cdef int version
    if p == end:
        return INCOMPLETE
    if p[0] != c' ' or p == line:
        return line_end_refusal(p, end, BAD_REQUEST_LINE if p == line and p[0] == c'\r' else BAD_METHOD)
    head.method_text = span(buf, line, p)
    head.method = method_id(line, p - line)
    target = p + 1
    bound = target + limits.target_bytes + 1 if <size_t>(end - target) > <size_t>limits.target_bytes + 1 else end
    p = scan_target(buf, target, bound)
    if p == bound:
        return INCOMPLETE if <size_t>(bound - target) <= limits.target_bytes else -TARGET_TOO_LONG
    if p[0] != c' ':
        return line_end_refusal(p, end, BAD_REQUEST_LINE if p[0] == c'\r' else BAD_TARGET)
    if p == target:
        return -BAD_REQUEST_LINE
    head.target = span(buf, target, p)
    version = read_version(p + 1, end)
    if version <= 0:
        return version
    head.minor = <uint8_t>(version - 1)
    version = read_target(buf, head)
    if version < 0:
        return version
    head.at = <uint32_t>(p + 11 - buf)      # SP, eight bytes of version, CRLF
    return DONE


cdef int glance_request_line(const char* buf, uint32_t at, const char* end, const HeadLimits* limits,
                             RequestHead* head) noexcept nogil:
    """What may be said of a request line that is not complete: a first byte no method has, a target over its limit."""
    cdef const char* p = buf + at
    cdef const char* target
    cdef const char* bound
    if p == end or p[0] == c'\r':
        return INCOMPLETE
    if not scan_is(p[0], CLASS_TOKEN):
        return -BAD_METHOD
    if p < buf + head.scanned:
        p = buf + head.scanned
    if head.started == BEFORE_LINE:
        p = find(p, end, c' ')
        if p == NULL:
            return INCOMPLETE
        p += 1
        head.started = IN_TARGET
        head.target.start = <uint32_t>(p - buf)
    if head.started == IN_TARGET:
        target = buf + head.target.start
        bound = target + limits.target_bytes + 1 if <size_t>(end - target) > <size_t>limits.target_bytes + 1 else end
        if find(p if p > target else target, bound, c' ') != NULL:
            head.started = BEHIND_TARGET
        elif end - target >= <int64_t>limits.target_bytes + 2:
            return read_request_line(buf, at, end, limits, head)
    return INCOMPLETE
