"""Heads of HTTP/1.1 messages, strict and in one pass.

How it works. A head is a start line, field lines and an empty line. Each line is read straight away where it stands:
a vector scan finds the end of the name, another the end of the value, and what ends it must be CRLF. A line that is
not complete is left alone; ``scanned`` remembers that it has no line feed so far, so the next call looks at the new
bytes only, and reads the line once more when its line feed is there. Every byte is looked at three times at most.

Rules that follow from "two servers must not read it differently":
1. A line is judged when it is complete, left to right; the first thing wrong with it names the refusal. So the verdict
   does not depend on how the bytes were cut. Three things are refused before their line is complete, because waiting
   would help nobody: a head or a target over its limit, and a first byte that begins no message.
2. What the fields mean together (framing, Host, Connection) is decided at the empty line, from ``seen``.
3. A field spelt with "_" never has a meaning here, however an upstream may read it: it is flagged for the exchange.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp

from tidegate.wire.authority cimport is_authority, same_authority
from tidegate.wire.connection cimport (
    PRIVATE_FLAGS,
    REPEATED_UPGRADE,
    SAID_KEEP_ALIVE,
    SAID_NAMES,
    SAID_UPGRADE,
    mark_named_fields,
    names_trailers,
    read_connection,
)

cdef extern from "scan.h" nogil:
    enum: CLASS_TOKEN
    int scan_is(char byte, int wanted)
    const char* scan_value(const char* floor, const char* p, const char* end)
    const char* scan_target(const char* floor, const char* p, const char* end)
    const char* scan_simple(const char* floor, const char* p, const char* end)
    const char* scan_token(const char* p, const char* end)
    int folds_to(const char* name, const char* lower, size_t size)

cdef enum Progress:             # of the request line, in ``started``; the middle two only while it is not complete
    BEFORE_LINE = 0
    IN_TARGET
    BEHIND_TARGET
    IN_FIELDS
    FINISHED

cdef enum:
    INCOMPLETE = 0              # of a line: no line feed yet
    DONE = 1


cdef inline Span span(const char* buf, const char* start, const char* end) noexcept nogil:
    cdef Span found
    found.start = <uint32_t>(start - buf)
    found.size = <uint32_t>(end - start)
    return found


cdef inline bint is_blank(char byte) noexcept nogil:
    return byte == c' ' or byte == c'\t'


cdef inline const char* find(const char* p, const char* end, char byte) noexcept nogil:
    return <const char*>memchr(p, byte, end - p) if p < end else NULL


cdef inline bint is_text(const char* p, size_t size, const char* lower, size_t lower_size) noexcept nogil:
    """Is it ``lower`` in any case? Exact for field values, which hold no control bytes but HT."""
    return size == lower_size and folds_to(p, lower, lower_size)


cdef int line_end_refusal(const char* p, const char* end, int otherwise) noexcept nogil:
    """What to say of a byte that does not belong: a bare CR or LF is named as such, a line that is over is ``otherwise``."""
    if p[0] == c'\n':
        return -BARE_LF
    if p[0] == c'\r':
        if p + 1 == end:
            return INCOMPLETE
        if p[1] != c'\n':
            return -BARE_CR
    return -otherwise


# --- request line

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
        if find(p, bound, c' ') != NULL:
            head.started = BEHIND_TARGET
        elif end - target >= <int64_t>limits.target_bytes + 2:
            return read_request_line(buf, at, end, limits, head)
    return INCOMPLETE


# --- status line

cdef int read_status_line(const char* buf, const char* end, ResponseHead* head) noexcept nogil:
    """The reason may be missing, and its space with it (many servers do so); what is not even HTTP is refused at once."""
    cdef const char* p = buf + 8
    cdef const char* lf
    cdef int version
    cdef int i
    for i in range(5):
        if buf + i == end:
            return INCOMPLETE
        if buf[i] != (<const char*>b"HTTP/")[i]:
            return -BAD_STATUS_LINE
    lf = find(buf, end, c'\n')
    if lf == NULL:
        return INCOMPLETE
    if (lf - 1)[0] != c'\r':
        return -BARE_LF
    end = lf - 1
    if find(buf, end, c'\r') != NULL:
        return -BARE_CR
    if end - p < 1 or p[0] != c' ':
        return -BAD_STATUS_LINE
    version = version_number(buf, p, BAD_STATUS_LINE)
    if version < 0:
        return version
    if end - p < 4 or not (c'1' <= p[1] <= c'9' and c'0' <= p[2] <= c'9' and c'0' <= p[3] <= c'9'):
        return -BAD_STATUS
    if end - p > 4 and p[4] != c' ':
        return -BAD_STATUS
    head.minor = <uint8_t>(version - 1)
    head.status = <uint16_t>((p[1] - c'0') * 100 + (p[2] - c'0') * 10 + (p[3] - c'0'))
    p = p + 5 if end - p > 4 else end
    if scan_value(buf, p, end) != end:
        return -BAD_STATUS_LINE
    head.reason = span(buf, p, end)
    head.at = <uint32_t>(lf + 1 - buf)
    return DONE


# --- field lines

cdef int name_refusal(const char* line, const char* p, const char* end) noexcept nogil:
    """What to say of a line whose name ends at ``p`` with anything but a colon, or is empty."""
    cdef const char* lf = find(p, end, c'\n')
    if lf == NULL:
        return INCOMPLETE
    if is_blank(p[0]):
        if p == line:
            return -OBS_FOLD
        while is_blank(p[0]):
            p += 1
        if p[0] == c':':
            return -WHITESPACE_BEFORE_COLON
    elif p[0] == c'\r' or p[0] == c'\n':
        return line_end_refusal(p, end, MISSING_COLON)
    return -BAD_FIELD_NAME if find(p, lf, c':') != NULL else -MISSING_COLON


cdef inline int read_field(const char* buf, uint32_t at, const char* end, Field* field) noexcept nogil:
    """Reads the field line at ``at``: DONE, INCOMPLETE or a negated Refusal."""
    cdef const char* line = buf + at
    cdef const char* p = scan_simple(buf, line, end)
    cdef const char* value
    field.flags = 0
    if p < end and p[0] == c':' and p != line:
        field.id = plain_field_id(line, p - line)
    else:
        p = scan_token(p, end)
        if p == end:
            return INCOMPLETE
        if p[0] != c':' or p == line:
            return name_refusal(line, p, end)
        field.id = field_id(line, p - line)
        if memchr(line, c'_', p - line) != NULL:
            field.flags = FIELD_HAS_UNDERSCORE
    field.name.start = at
    field.name.size = <uint32_t>(p - line)
    p += 1
    while p < end and is_blank(p[0]):
        p += 1
    value = p
    p = scan_value(buf, p, end)
    if end - p < 2:
        return INCOMPLETE if p == end or p[0] != c'\n' else -BARE_LF
    if p[0] != c'\r' or p[1] != c'\n':
        return line_end_refusal(p, end, BAD_FIELD_VALUE)
    field.line_end = <uint32_t>(p + 2 - buf)
    while p > value and is_blank((p - 1)[0]):
        p -= 1
    field.value = span(buf, value, p)
    return DONE


cdef inline int read_next_field(const char* buf, uint32_t at, const char* end, uint16_t n_fields, const HeadLimits* limits,
                                Field* field) noexcept nogil:
    """``read_field``, but for a line too many, and errors in a line without its end wait for it."""
    cdef const char* line = buf + at
    cdef int result
    if n_fields >= limits.fields or n_fields == FIELDS_MAX:
        if line < end and line[0] != c'\r':
            return -TOO_MANY_FIELDS
        result = -BARE_CR       # or its LF is still to come
        if end - line < 2:
            return INCOMPLETE
    else:
        result = read_field(buf, at, end, field)
    if result < 0 and find(line, end, c'\n') == NULL:
        return INCOMPLETE
    return result


cdef int read_length(const char* p, size_t size, uint64_t* length) noexcept nogil:
    """Digits and nothing else, no leading zero (an upstream may read it as octal), at most 2^63 - 1."""
    cdef uint64_t number = 0
    cdef size_t i
    if size == 0 or size > 19 or (p[0] == c'0' and size > 1):
        return -BAD_CONTENT_LENGTH
    for i in range(size):
        if not c'0' <= p[i] <= c'9':
            return -BAD_CONTENT_LENGTH
        number = number * 10 + <uint64_t>(p[i] - c'0')
    if number >> 63:
        return -BAD_CONTENT_LENGTH
    length[0] = number
    return DONE


cdef inline int note_framing(const char* value, const Field* field, uint64_t seen, uint8_t minor, uint32_t* flags,
                             uint64_t* length, Span* upgrade) noexcept nogil:
    """Takes note of a field that means something in both directions."""
    cdef bint again = (seen >> field.id & 1) != 0
    if field.id == FIELD_CONNECTION:
        flags[0] |= read_connection(value, value + field.value.size)
    elif field.id == FIELD_CONTENT_LENGTH:
        return -REPEATED_CONTENT_LENGTH if again else read_length(value, field.value.size, length)
    elif field.id == FIELD_TRANSFER_ENCODING:
        if again:
            return -REPEATED_TRANSFER_ENCODING
        if minor == 0:
            return -TRANSFER_ENCODING_IN_HTTP10
        if not is_text(value, field.value.size, b"chunked", 7):
            return -UNSUPPORTED_TRANSFER_ENCODING
    elif field.id == FIELD_UPGRADE:
        if again:
            flags[0] |= REPEATED_UPGRADE
        else:
            upgrade[0] = field.value
    return DONE


cdef int note_request_field(const char* buf, const Field* field, RequestHead* head) noexcept nogil:
    cdef const char* value = buf + field.value.start
    cdef const char* end = value + field.value.size
    cdef const char* port
    if field.id == FIELD_HOST:
        if head.seen >> FIELD_HOST & 1:
            return -REPEATED_HOST
        if not is_authority(value, end, &port):
            return -BAD_HOST
        if head.target_form != TARGET_ABSOLUTE:
            head.host = field.value
        elif not same_authority(buf + head.host.start, buf + head.host.start + head.host.size, value, end,
                                443 if (buf[head.target.start + 4] | 0x20) == c's' else 80):
            return -TARGET_HOST_MISMATCH
        return DONE
    if field.id == FIELD_EXPECT:
        if not is_text(value, field.value.size, b"100-continue", 12):
            return -BAD_EXPECT
        if head.minor == 1:     # RFC 9110 10.1.1: ignored in HTTP/1.0
            head.flags |= HEAD_EXPECT_CONTINUE
        return DONE
    if field.id == FIELD_TE:
        if names_trailers(value, end):
            head.flags |= HEAD_TE_TRAILERS
        return DONE
    return note_framing(value, field, head.seen, head.minor, &head.flags, &head.content_length, &head.upgrade)


# --- what the fields mean together

cdef inline int settle_connection(const char* buf, Field* fields, uint16_t n_fields, uint64_t seen, uint8_t minor,
                                  uint32_t* flags) noexcept nogil:
    cdef uint32_t said = flags[0]
    if said & SAID_NAMES and mark_named_fields(buf, fields, n_fields) < 0:
        return -TOO_MANY_FIELDS
    flags[0] = said & ~<uint32_t>PRIVATE_FLAGS
    if not said & HEAD_CONNECTION_CLOSE and (minor == 1 or said & SAID_KEEP_ALIVE):
        flags[0] |= HEAD_KEEP_ALIVE
    if said & SAID_UPGRADE and minor == 1 and seen >> FIELD_UPGRADE & 1 and not said & REPEATED_UPGRADE:
        flags[0] |= HEAD_UPGRADE
    return DONE


cdef inline int message_framing(uint64_t seen, int otherwise) noexcept nogil:
    if seen >> FIELD_TRANSFER_ENCODING & 1:
        return -BOTH_FRAMINGS if seen >> FIELD_CONTENT_LENGTH & 1 else FRAMING_CHUNKED
    return FRAMING_LENGTH if seen >> FIELD_CONTENT_LENGTH & 1 else otherwise


cdef int finish_request(const char* buf, RequestHead* head) noexcept nogil:
    cdef int framing
    if head.minor == 1 and not head.seen >> FIELD_HOST & 1:
        return -MISSING_HOST
    framing = message_framing(head.seen, FRAMING_NONE)
    if framing < 0:
        return framing
    head.framing = <uint8_t>framing
    framing = settle_connection(buf, head.fields, head.n_fields, head.seen, head.minor, &head.flags)
    if framing < 0:
        return framing
    if not head.flags & HEAD_UPGRADE:
        head.upgrade.start = head.upgrade.size = 0
    head.size = head.at + 2
    head.started = FINISHED
    return COMPLETE


cdef int finish_response(const char* buf, uint8_t to_method, ResponseHead* head) noexcept nogil:
    cdef int framing = message_framing(head.seen, FRAMING_CLOSE)
    if framing < 0:
        return framing
    if head.status == 101:
        framing = FRAMING_TUNNEL
    elif head.status < 200 or head.status == 204 or head.status == 304 or to_method == METHOD_HEAD:
        framing = FRAMING_NONE
    head.framing = <uint8_t>framing
    framing = settle_connection(buf, head.fields, head.n_fields, head.seen, head.minor, &head.flags)
    if framing < 0:
        return framing
    if head.framing == FRAMING_CLOSE or head.framing == FRAMING_TUNNEL:
        head.flags &= ~<uint32_t>HEAD_KEEP_ALIVE
    if not head.flags & HEAD_UPGRADE:
        head.upgrade.start = head.upgrade.size = 0
    head.size = head.at + 2
    head.started = FINISHED
    return COMPLETE


# --- whole heads

cdef void reset_request_head(RequestHead* head) noexcept nogil:
    head.at = 0
    head.scanned = 0
    head.started = BEFORE_LINE
    head.size = 0
    head.method = METHOD_OTHER
    head.minor = 0
    head.target_form = TARGET_ORIGIN
    head.framing = FRAMING_NONE
    head.n_fields = 0
    head.flags = 0
    head.seen = 0
    head.content_length = 0
    head.method_text.start = head.method_text.size = 0
    head.target.start = head.target.size = 0
    head.path.start = head.path.size = 0
    head.query.start = head.query.size = 0
    head.host.start = head.host.size = 0
    head.upgrade.start = head.upgrade.size = 0


cdef void reset_response_head(ResponseHead* head) noexcept nogil:
    head.at = 0
    head.scanned = 0
    head.started = BEFORE_LINE
    head.size = 0
    head.status = 0
    head.minor = 0
    head.framing = FRAMING_NONE
    head.n_fields = 0
    head.flags = 0
    head.seen = 0
    head.content_length = 0
    head.reason.start = head.reason.size = 0
    head.upgrade.start = head.upgrade.size = 0


cdef inline int wait_for_more(uint32_t* scanned, const char* buf, const char* end, size_t size,
                              const HeadLimits* limits) noexcept nogil:
    scanned[0] = <uint32_t>(end - buf)
    return -HEAD_TOO_LARGE if size >= limits.head_bytes else NEED_MORE


cdef inline bint is_empty_line(const char* p, const char* end) noexcept nogil:
    return end - p >= 2 and p[0] == c'\r' and p[1] == c'\n'


cdef int parse_request_head(const char* buf, size_t size, const HeadLimits* limits, RequestHead* head) noexcept nogil:
    cdef const char* end = buf + (size if size < limits.head_bytes else limits.head_bytes)
    cdef const char* fresh
    cdef Field* field
    cdef int result
    if head.started == FINISHED:
        return COMPLETE
    if head.started < IN_FIELDS:
        if head.at == 0 and is_empty_line(buf, end):
            head.at = 2         # RFC 9112 2.2: one empty line before a request line is forgiven
        fresh = buf + head.scanned
        result = INCOMPLETE
        if head.scanned <= head.at or find(fresh, end, c'\n') != NULL:
            result = read_request_line(buf, head.at, end, limits, head)
            if result < 0 and find(buf + head.at, end, c'\n') == NULL:
                result = INCOMPLETE
        if result == INCOMPLETE:
            result = glance_request_line(buf, head.at, end, limits, head)
        if result < 0:
            return result
        if result == INCOMPLETE:
            return wait_for_more(&head.scanned, buf, end, size, limits)
        head.started = IN_FIELDS
        head.scanned = 0
    if head.scanned > head.at and find(buf + head.scanned, end, c'\n') == NULL:
        return wait_for_more(&head.scanned, buf, end, size, limits)
    while True:
        if is_empty_line(buf + head.at, end):
            return finish_request(buf, head)
        field = &head.fields[head.n_fields]
        result = read_next_field(buf, head.at, end, head.n_fields, limits, field)
        if result == INCOMPLETE:
            return wait_for_more(&head.scanned, buf, end, size, limits)
        if result < 0:
            return result
        if field.flags & FIELD_HAS_UNDERSCORE:
            head.flags |= HEAD_HAS_UNDERSCORE
        elif field.id != FIELD_OTHER:
            result = note_request_field(buf, field, head)
            if result < 0:
                return result
            head.seen |= <uint64_t>1 << field.id
        head.n_fields += 1
        head.at = field.line_end


cdef int parse_response_head(const char* buf, size_t size, const HeadLimits* limits, uint8_t to_method,
                             ResponseHead* head) noexcept nogil:
    cdef const char* end = buf + (size if size < limits.head_bytes else limits.head_bytes)
    cdef Field* field
    cdef int result
    if head.started == FINISHED:
        return COMPLETE
    if head.scanned > head.at and find(buf + head.scanned, end, c'\n') == NULL:
        return wait_for_more(&head.scanned, buf, end, size, limits)
    if head.started == BEFORE_LINE:
        result = read_status_line(buf, end, head)
        if result < 0:
            return result
        if result == INCOMPLETE:
            return wait_for_more(&head.scanned, buf, end, size, limits)
        head.started = IN_FIELDS
    while True:
        if is_empty_line(buf + head.at, end):
            return finish_response(buf, to_method, head)
        field = &head.fields[head.n_fields]
        result = read_next_field(buf, head.at, end, head.n_fields, limits, field)
        if result == INCOMPLETE:
            return wait_for_more(&head.scanned, buf, end, size, limits)
        if result < 0:
            return result
        if field.flags & FIELD_HAS_UNDERSCORE:
            head.flags |= HEAD_HAS_UNDERSCORE
        elif field.id != FIELD_OTHER:
            result = note_framing(buf + field.value.start, field, head.seen, head.minor, &head.flags,
                                  &head.content_length, &head.upgrade)
            if result < 0:
                return result
            head.seen |= <uint64_t>1 << field.id
        head.n_fields += 1
        head.at = field.line_end
