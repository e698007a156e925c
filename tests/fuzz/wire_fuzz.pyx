# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""Mutates the vectors and drives the C functions of the wire directly, more than a million times a second.

Each input lies once with its end against an unreadable page and once with its start behind one, so a read outside it
ends the process. It is fed whole and then in random cuts, moved each time; both must say the same. What is accepted is
checked byte by byte against the grammar, with none of the parser's own tables.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memmove, memset
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE, mmap, mprotect, munmap

from tidegate.wire.http1 cimport *
from tidegate.wire.target cimport *

cdef extern from "scan.h" nogil:
    enum: CLASS_VALUE
    enum: CLASS_TARGET
    enum: CLASS_SIMPLE
    const char* scan_table(const char* p, const char* end, int wanted)
    const char* scan_value(const char* floor, const char* p, const char* end)
    const char* scan_target(const char* floor, const char* p, const char* end)
    const char* scan_simple(const char* floor, const char* p, const char* end)

cdef enum:
    PAGE = 4096
    ROOM = 2048                 # longest input

cdef enum Kind:
    KIND_REQUEST = 0
    KIND_RESPONSE
    KIND_CHUNKED
    KIND_PATH
    KIND_SCAN

cdef struct Arena:
    # guard page, one page of room, guard page
    char* base

cdef struct Random:
    uint64_t state

cdef const char* WORDS[40]
WORDS[:] = [
    b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b",", b";", b"=", b'"', b"\\", b"_", b"-", b"0", b"9", b"f", b"\x7f", b"\x01",
    b"\x0b", b"\xff", b"/", b"..", b"%2e", b"%2F", b"?", b"#", b"@", b"[", b"]", b"Content-Length: 5\r\n", b"Host: b\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Connection: x, close\r\n", b"Upgrade: a\r\n", b"Expect: 100-continue\r\n",
    b"HTTP/1.0", b"0\r\n\r\n", b"a\r\n", b"X_Y: 1\r\n", b"\r\n\r\n",
]


cdef inline uint64_t draw(Random* r) noexcept nogil:
    r.state ^= r.state >> 12
    r.state ^= r.state << 25
    r.state ^= r.state >> 27
    return (r.state * <uint64_t>2685821657736338717u) >> 16


cdef inline uint32_t below(Random* r, uint32_t bound) noexcept nogil:
    return <uint32_t>(draw(r) % bound) if bound else 0


cdef inline char* against_end(Arena* a, const char* data, size_t size) noexcept nogil:
    cdef char* p = a.base + 2 * PAGE - size
    memcpy(p, data, size)
    return p


cdef inline char* against_start(Arena* a, const char* data, size_t size) noexcept nogil:
    memcpy(a.base + PAGE, data, size)
    return a.base + PAGE


cdef size_t mutate(Random* r, char* data, size_t size, const char* other, size_t other_size) noexcept nogil:
    """One to four changes: a byte, a word, a hole, a repetition, a piece of another case."""
    cdef uint32_t rounds = 1 + below(r, 4) if below(r, 4) == 0 else 1
    cdef uint32_t kind
    cdef size_t at
    cdef size_t n
    cdef const char* word
    for _ in range(rounds):
        kind = below(r, 6)
        at = below(r, <uint32_t>size + 1)
        if kind == 0 and size:
            data[at if at < size else size - 1] = <char>below(r, 256)
        elif kind == 1 or kind == 2:
            word = WORDS[below(r, 40)]
            n = 0
            while word[n] != 0:
                n += 1
            if size + n <= ROOM:
                memmove(data + at + n, data + at, size - at)
                memcpy(data + at, word, n)
                size += n
        elif kind == 3:
            n = below(r, <uint32_t>(size - at if size - at < 12 else 12) + 1)
            memmove(data + at, data + at + n, size - at - n)
            size -= n
        elif kind == 4:
            n = below(r, <uint32_t>(size - at if size - at < 40 else 40) + 1)
            if size + n <= ROOM:
                memmove(data + at + n, data + at, size - at)
                size += n
        elif other_size:
            n = below(r, <uint32_t>(other_size if other_size < ROOM - at else ROOM - at) + 1)
            memcpy(data + at, other + other_size - n, n)
            size = at + n
    return size


# --- what must hold, each check a number that ``CHECKS`` names

CHECKS = (
    "", "verdict depends on cuts", "spans depend on cuts", "span outside the head", "head does not end in an empty line",
    "field line is not name, colon, value, CRLF", "name is not a token", "control byte in a value", "more fields than allowed",
    "head over its limit", "bad byte in the target", "framing fields contradict", "chunked data depends on cuts",
    "consumed beyond the input", "canonical form is not its own", "is_canonical disagrees", "canonical form grows",
    "no progress", "span beyond what was consumed", "vector scan and table disagree",
)


cdef bint token_byte(uint8_t c) noexcept nogil:
    if c'0' <= c <= c'9' or c'a' <= c <= c'z' or c'A' <= c <= c'Z':
        return True
    return c != 0 and memchr(b"!#$%&'*+-.^_`|~", c, 15) != NULL


cdef int check_fields(const char* buf, const Field* fields, int n, uint32_t size, int most) noexcept nogil:
    cdef int i
    cdef uint32_t j
    cdef uint32_t at = 0
    cdef uint8_t c
    cdef const Field* f
    if n > most or n > FIELDS_MAX:
        return 8
    for i in range(n):
        f = &fields[i]
        if f.line_end > size or f.name.size == 0 or (i and f.name.start != at):
            return 3
        at = f.line_end
        if f.name.start + f.name.size >= f.value.start or f.value.start + f.value.size + 2 > at:
            return 3
        if buf[f.name.start + f.name.size] != c':' or buf[at - 2] != c'\r' or buf[at - 1] != c'\n':
            return 5
        for j in range(f.name.start, f.name.start + f.name.size):
            if not token_byte(<uint8_t>buf[j]):
                return 6
        for j in range(f.name.start + f.name.size + 1, at - 2):
            c = <uint8_t>buf[j]
            if (c < 0x20 and c != 9) or c == 0x7f:
                return 7
            if (j < f.value.start or j >= f.value.start + f.value.size) and c != 9 and c != 0x20:
                return 5
        if f.value.size and (buf[f.value.start] <= c' ' and buf[f.value.start] >= 0):
            return 5
    if n and at + 2 != size:
        return 4
    if size < 4 or memcmp(buf + size - 4, b"\r\n\r\n", 4) != 0:
        return 4
    return 0


cdef bint same_fields(const Field* a, const Field* b, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        if (
            a[i].name.start != b[i].name.start or a[i].name.size != b[i].name.size
            or a[i].value.start != b[i].value.start or a[i].value.size != b[i].value.size
            or a[i].line_end != b[i].line_end or a[i].id != b[i].id or a[i].flags != b[i].flags
        ):
            return False
    return True


cdef inline bint same_span(const Span* a, const Span* b) noexcept nogil:
    return a.start == b.start and a.size == b.size


cdef inline bint inside(const Span* span, uint32_t size) noexcept nogil:
    return span.start <= size and span.size <= size - span.start


cdef inline size_t next_cut(Random* r, size_t fed, size_t size) noexcept nogil:
    """A few bytes at a time, now and then a lot."""
    fed += 1 + below(r, 3) if below(r, 4) == 0 else 1 + below(r, 120)
    return fed if fed < size else size


cdef int try_request(Random* r, Arena* arena, const char* data, size_t size, const HeadLimits* limits,
                     int* verdict) noexcept nogil:
    cdef RequestHead a
    cdef RequestHead b
    cdef int again = NEED_MORE
    cdef int found
    cdef size_t fed = 0
    cdef uint32_t i
    cdef uint8_t c
    reset_request_head(&a)
    verdict[0] = parse_request_head(against_end(arena, data, size), size, limits, &a)
    reset_request_head(&b)
    while again == NEED_MORE and fed < size:
        fed = next_cut(r, fed, size)
        again = parse_request_head(against_end(arena, data, fed), fed, limits, &b)
    if again != verdict[0]:
        return 1
    reset_request_head(&b)
    again = parse_request_head(against_start(arena, data, size), size, limits, &b)
    if again != verdict[0]:
        return 1
    if verdict[0] != COMPLETE:
        return 0
    if (
        a.size != b.size or a.n_fields != b.n_fields or a.flags != b.flags or a.seen != b.seen or a.framing != b.framing
        or a.content_length != b.content_length or a.method != b.method or a.minor != b.minor
        or not same_span(&a.target, &b.target) or not same_span(&a.path, &b.path) or not same_span(&a.query, &b.query)
        or not same_span(&a.host, &b.host) or not same_span(&a.upgrade, &b.upgrade)
        or not same_fields(a.fields, b.fields, a.n_fields)
    ):
        return 2
    if a.size > size or a.size > limits.head_bytes or a.target.size > limits.target_bytes:
        return 9
    if not (
        inside(&a.method_text, a.size) and inside(&a.target, a.size) and inside(&a.path, a.size)
        and inside(&a.query, a.size) and inside(&a.host, a.size) and inside(&a.upgrade, a.size)
    ):
        return 3
    for i in range(a.target.start, a.target.start + a.target.size):
        c = <uint8_t>data[i]
        if c <= 0x20 or c == 0x7f or c == c'#':
            return 10
    if a.framing == FRAMING_CHUNKED and (a.seen >> FIELD_CONTENT_LENGTH & 1 or a.minor == 0):
        return 11
    if (a.framing == FRAMING_NONE) != (a.seen & (<uint64_t>1 << FIELD_CONTENT_LENGTH | <uint64_t>1 << FIELD_TRANSFER_ENCODING) == 0):
        return 11
    found = check_fields(data, a.fields, a.n_fields, a.size, limits.fields)
    return found


cdef int try_response(Random* r, Arena* arena, const char* data, size_t size, const HeadLimits* limits,
                      int* verdict) noexcept nogil:
    cdef ResponseHead a
    cdef ResponseHead b
    cdef int again = NEED_MORE
    cdef size_t fed = 0
    cdef uint8_t to_method = METHOD_HEAD if below(r, 4) == 0 else METHOD_GET
    reset_response_head(&a)
    verdict[0] = parse_response_head(against_start(arena, data, size), size, limits, to_method, &a)
    reset_response_head(&b)
    while again == NEED_MORE and fed < size:
        fed = next_cut(r, fed, size)
        again = parse_response_head(against_end(arena, data, fed), fed, limits, to_method, &b)
    if again != verdict[0]:
        return 1
    if verdict[0] != COMPLETE:
        return 0
    if (
        a.size != b.size or a.n_fields != b.n_fields or a.flags != b.flags or a.seen != b.seen or a.framing != b.framing
        or a.content_length != b.content_length or a.status != b.status or not same_span(&a.reason, &b.reason)
        or not same_fields(a.fields, b.fields, a.n_fields)
    ):
        return 2
    if a.size > size or a.size > limits.head_bytes:
        return 9
    if not inside(&a.reason, a.size) or not inside(&a.upgrade, a.size) or a.status < 100 or a.status > 999:
        return 3
    return check_fields(data, a.fields, a.n_fields, a.size, limits.fields)


cdef int decode(Random* r, Arena* arena, const char* data, size_t size, bint cut, int* verdict, uint64_t* digest,
                size_t* end) noexcept nogil:
    """Feeds a body, in cuts or whole, and digests its data with FNV-1a."""
    cdef ChunkedDecoder decoder
    cdef size_t at = 0
    cdef size_t fed = 0
    cdef size_t consumed
    cdef size_t i
    cdef Span run
    cdef char* p
    digest[0] = 1469598103934665603u
    verdict[0] = NEED_MORE
    reset_chunked(&decoder)
    while at < size and verdict[0] == NEED_MORE:
        fed = next_cut(r, at, size) if cut else size
        p = against_end(arena, data + at, fed - at)
        verdict[0] = feed_chunked(&decoder, p, fed - at, &consumed, &run)
        if consumed > fed - at:
            return 13
        if run.size and (run.start > consumed or run.size > consumed - run.start):
            return 18
        if consumed == 0 and verdict[0] == NEED_MORE:
            return 17
        for i in range(run.size):
            digest[0] = (digest[0] ^ <uint8_t>p[run.start + i]) * 1099511628211u
        at += consumed
    end[0] = at
    return 0


cdef int try_chunked(Random* r, Arena* arena, const char* data, size_t size, int* verdict) noexcept nogil:
    cdef uint64_t whole
    cdef uint64_t pieces
    cdef size_t whole_end
    cdef size_t end
    cdef int again
    cdef int found = decode(r, arena, data, size, False, verdict, &whole, &whole_end)
    if found == 0:
        found = decode(r, arena, data, size, True, &again, &pieces, &end)
    if found:
        return found
    if again != verdict[0]:
        return 1
    return 12 if whole != pieces or whole_end != end else 0


cdef int try_path(Random* r, Arena* arena, Arena* output, const char* data, size_t size, int* verdict) noexcept nogil:
    cdef int allow = <int>below(r, 64) if below(r, 2) else 0
    cdef char* out = output.base + 2 * PAGE - size      # not a byte more than the header asks for
    cdef char again[ROOM]
    cdef char* p = against_end(arena, data, size)
    cdef int n
    verdict[0] = canonical_path(p, size, allow, out)
    if not allow and is_canonical(p, size) != (verdict[0] == <int>size and memcmp(out, p, size) == 0):
        return 15
    if verdict[0] < 0:
        return 0
    if verdict[0] > <int>size:
        return 16
    n = verdict[0]
    verdict[0] = COMPLETE
    if canonical_path(out, n, allow, again) != n or memcmp(out, again, n) != 0:
        return 14
    return 0 if allow or is_canonical(out, n) else 15


cdef int try_scan(Random* r, Arena* arena, const char* data, size_t size, int* verdict) noexcept nogil:
    """The vector scans beside the table, which is all there is without SSE2, from every kind of place."""
    cdef const char* floor = against_end(arena, data, size) if below(r, 2) else against_start(arena, data, size)
    cdef const char* p = floor + below(r, <uint32_t>size + 1)
    cdef const char* end = p + below(r, <uint32_t>(floor + size - p) + 1)
    verdict[0] = COMPLETE
    if scan_value(floor, p, end) != scan_table(p, end, CLASS_VALUE):
        return 19
    if scan_target(floor, p, end) != scan_table(p, end, CLASS_TARGET):
        return 19
    return 0 if scan_simple(floor, p, end) == scan_table(p, end, CLASS_SIMPLE) else 19


cdef bint make_arena(Arena* a) noexcept nogil:
    a.base = <char*>mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if <void*>a.base == MAP_FAILED:
        return False
    return mprotect(a.base, PAGE, PROT_NONE) == 0 and mprotect(a.base + 2 * PAGE, PAGE, PROT_NONE) == 0


def run(str kind_name, list corpus, uint64_t executions, uint64_t seed):
    """Runs so many mutated inputs; (what failed or "", the input, inputs accepted, verdicts seen by number)."""
    cdef int kind = ("request", "response", "chunked", "path", "scan").index(kind_name)
    cdef const char* inputs[1024]
    cdef size_t sizes[1024]
    cdef uint64_t counts[64]
    cdef int n_inputs = 0
    cdef Random r
    cdef Arena arena
    cdef Arena output
    cdef HeadLimits limits
    cdef char data[ROOM]
    cdef size_t size = 0
    cdef uint32_t pick
    cdef int found = 0
    cdef int verdict = 0
    cdef uint64_t done
    kept = [text for text in corpus if len(text) <= ROOM][:1024]
    for text in kept:
        inputs[n_inputs] = text
        sizes[n_inputs] = len(text)
        n_inputs += 1
    memset(counts, 0, sizeof(counts))
    r.state = seed * <uint64_t>0x9E3779B97F4A7C15u | 1
    if not make_arena(&arena) or not make_arena(&output):
        raise MemoryError
    with nogil:
        for done in range(executions):
            pick = below(&r, n_inputs)
            size = sizes[pick]
            memcpy(data, inputs[pick], size)
            pick = below(&r, n_inputs)
            size = mutate(&r, data, size, inputs[pick], sizes[pick])
            limits.head_bytes = ROOM
            limits.target_bytes = ROOM
            limits.fields = 100
            if below(&r, 8) == 0:
                limits.head_bytes = 1 + below(&r, 120)
                limits.target_bytes = below(&r, 24)
                limits.fields = below(&r, 5)
            if kind == KIND_REQUEST:
                found = try_request(&r, &arena, data, size, &limits, &verdict)
            elif kind == KIND_RESPONSE:
                found = try_response(&r, &arena, data, size, &limits, &verdict)
            elif kind == KIND_CHUNKED:
                found = try_chunked(&r, &arena, data, size, &verdict)
            elif kind == KIND_SCAN:
                found = try_scan(&r, &arena, data, size, &verdict)
            else:
                found = try_path(&r, &arena, &output, data, size, &verdict)
            if found:
                break
            if verdict < 0:
                counts[-verdict] += 1
            elif verdict == COMPLETE:
                counts[0] += 1
    munmap(arena.base, 3 * PAGE)
    munmap(output.base, 3 * PAGE)
    return CHECKS[found], data[:size], counts[0], {number for number in range(1, 64) if counts[number]}
