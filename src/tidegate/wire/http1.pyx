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

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
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

from tidegate.wire.lines cimport DONE, INCOMPLETE, find, is_blank, line_end_refusal, span
from tidegate.wire.request_line cimport (
    BEFORE_LINE,
    FINISHED,
    IN_FIELDS,
    glance_request_line,
    read_request_line,
    version_number,
)

cdef extern from "scan.h" nogil:
    const char* scan_value(const char* floor, const char* p, const char* end)
    const char* scan_simple(const char* floor, const char* p, const char* end)
    const char* scan_token(const char* p, const char* end)
    int folds_to(const char* name, const char* lower, size_t size)


cdef inline bint is_text(const char* p, size_t size, const char* lower, size_t lower_size) noexcept nogil:
    """Is it ``lower`` in any case? Exact for field values, which hold no control bytes but HT."""
    return size == lower_size and folds_to(p, lower, lower_size)


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
    cdef bint resumed
    cdef int result
    if head.started == FINISHED:
        return COMPLETE
    # The first five bytes are judged as they come, see ``read_status_line``.
    resumed = head.scanned > head.at and (head.started == IN_FIELDS or head.scanned >= 5)
    if resumed and find(buf + head.scanned, end, c'\n') == NULL:
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
