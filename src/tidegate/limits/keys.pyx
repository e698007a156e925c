"""What a limit tells requests apart by.

The parts of a key are written one behind the other into memory of the stack, each with what it is and how long, so that no two
rows of parts are written alike; a long one is written as its hash. The whole is hashed (``memory.fingerprints``).
Nothing is allocated.

Two spellings of one thing have one key, or a client would have as many allowances as it knows spellings: a host is its name
in lower case without port, a query parameter is percent-decoded, an IPv6 address is its prefix, and one that stands for an
IPv4 address is that address. The path is canonical already. Fields and cookies are as they came. One that is there twice is
missing: the upstream may read the other one.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memchr, memcmp, memcpy, memset

from tidegate.memory.fingerprints cimport Fingerprints, siphash, siphash_key
from tidegate.net.syscalls cimport AF_INET6
from tidegate.routing.host cimport HOST_MAX, host_name
from tidegate.wire.http1 cimport (
    COMPLETE, HeadLimits, RequestHead, Span, parse_request_head, reset_request_head,
)
from tidegate.wire.parameters cimport only_cookie_of, only_field_of, only_parameter_of

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)

cdef enum:
    ADDRESS_MAX = 45
    PARTS_MAX = 8
    SHORT_PART = 48             # bytes of a part that are written as they are
    DIGEST_SIZE = 32
    DIGEST_PREFIX = 7           # "sha256:"
    # of what may be a secret, in bytes
    SHOWN_MAX = 6
    DIGEST_SHOWN = 6
    HASH_SHOWN = 4
    KEY_MAX = PARTS_MAX * (4 + SHORT_PART)
    # in place of a part's length
    HASHED = 0xFFFFFE
    ABSENT = 0xFFFFFF

cdef char* HEX = b"0123456789abcdef"
cdef uint64_t last_serial = 0

SOURCES = {
    "client.ip": CLIENT_IP, "auth.subject": AUTH_SUBJECT, "auth.tenant": AUTH_TENANT, "auth.key": AUTH_KEY, "header": HEADER,
    "cookie": COOKIE, "query": QUERY, "path": PATH, "method": METHOD, "route": ROUTE, "upstream": UPSTREAM, "endpoint": ENDPOINT,
    "host": HOST, "constant": CONSTANT,
}


cdef inline Run _run(const char* at, size_t size) noexcept nogil:
    cdef Run run
    run.at = at
    run.size = size
    return run


cdef inline Run _run_of(bytes text) noexcept:
    return _run(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))


cdef inline char* _tag(char* out, uint8_t what, uint32_t size) noexcept nogil:
    cdef uint32_t word = <uint32_t>what << 24 | size
    memcpy(out, &word, sizeof(word))
    return out + sizeof(word)


cdef char* _put(char* out, const siphash_key key, uint8_t what, const char* text, size_t size) noexcept nogil:
    cdef uint64_t hash
    if size <= SHORT_PART:
        out = _tag(out, what, <uint32_t>size)
        if size != 0:
            memcpy(out, text, size)     # which takes no NULL, not even for nothing
        return out + size
    hash = siphash(key, text, size)
    out = _tag(out, what, HASHED)
    memcpy(out, &hash, sizeof(hash))
    return out + sizeof(hash)


cdef char* _put_address(char* out, siphash_key key, const Run* text, int prefix) noexcept nogil:
    cdef char[ADDRESS_MAX + 1] copy
    cdef uint8_t[16] address
    cdef int size, i
    if text.size > ADDRESS_MAX or memchr(text.at, c":", text.size) == NULL:
        return _put(out, key, CLIENT_IP, text.at, text.size)
    memcpy(copy, text.at, text.size)
    copy[text.size] = 0
    if inet_pton(AF_INET6, copy, address) != 1:
        return _put(out, key, CLIENT_IP, text.at, text.size)
    if address[10] == 0xFF and address[11] == 0xFF and _is_zero(address, 10):
        size = snprintf(copy, ADDRESS_MAX, "%d.%d.%d.%d", address[12], address[13], address[14], address[15])
        return _put(out, key, CLIENT_IP, copy, size)
    for i in range(16):
        if 8 * i >= prefix:
            address[i] = 0
        elif 8 * i + 8 > prefix:
            address[i] &= <uint8_t>(0xFF00 >> (prefix - 8 * i))
    return _put(out, key, CLIENT_IP, <const char*>address, 16)


cdef inline bint _is_zero(const uint8_t* bytes, int count) noexcept nogil:
    cdef int i
    for i in range(count):
        if bytes[i] != 0:
            return False
    return True


cdef inline int _digit(char c) noexcept nogil:
    if c"0" <= c <= c"9":
        return c - c"0"
    if c"a" <= (c | 0x20) <= c"f":
        return (c | 0x20) - c"a" + 10
    return -1


cdef char* _put_query(char* out, siphash_key key, const char* text, size_t size, bint is_encoded) noexcept nogil:
    """A query's value as a form reads it; a "%" that begins no escape stands for itself. A long one is hashed in pieces."""
    cdef char[SHORT_PART] piece
    cdef uint64_t[2] folded
    cdef size_t i = 0, count = 0
    cdef uint64_t total = 0, hash = 0
    cdef char byte
    while i < size:
        byte = text[i]
        if not is_encoded:
            pass
        elif byte == c"+":
            byte = c" "
        elif byte == c"%" and i + 2 < size and _digit(text[i + 1]) >= 0 and _digit(text[i + 2]) >= 0:
            byte = <char>(_digit(text[i + 1]) << 4 | _digit(text[i + 2]))
            i += 2
        i += 1
        if count == SHORT_PART:
            folded[0] = hash
            folded[1] = siphash(key, piece, count)
            hash = siphash(key, <const char*>folded, sizeof(folded))
            count = 0
        piece[count] = byte
        count += 1
        total += 1
    if total <= SHORT_PART:
        return _put(out, key, QUERY, piece, count)
    folded[0] = hash
    folded[1] = siphash(key, piece, count)
    hash = siphash(key, <const char*>folded, sizeof(folded))
    out = _tag(out, QUERY, HASHED)
    memcpy(out, &hash, sizeof(hash))
    return out + sizeof(hash)


cdef bint _read_digest(const char* text, size_t size, char* out) noexcept nogil:
    """Whether it is the digest of a key as the configuration spells it: ``sha256:`` and 64 digits."""
    cdef size_t i
    if size != DIGEST_PREFIX + 2 * DIGEST_SIZE or memcmp(text, b"sha256:", DIGEST_PREFIX) != 0:
        return False
    text += DIGEST_PREFIX
    for i in range(DIGEST_SIZE):
        if _digit(text[2 * i]) < 0 or _digit(text[2 * i + 1]) < 0:
            return False
        out[i] = <char>(_digit(text[2 * i]) << 4 | _digit(text[2 * i + 1]))
    return True


cdef int ask_of(bytes head, RequestHead* parsed, Asked* asked) except -1:
    cdef HeadLimits limits
    limits.head_bytes = limits.target_bytes = 1 << 20
    limits.fields = 128
    memset(asked, 0, sizeof(Asked))
    reset_request_head(parsed)
    if parse_request_head(PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head), &limits, parsed) != COMPLETE:
        raise ValueError("not a whole request head")
    asked.raw = PyBytes_AS_STRING(head)
    asked.head = parsed
    asked.path = _run(asked.raw + parsed.path.start, parsed.path.size)
    return 0


cdef bint _find(const Part* part, const Asked* asked, char* host, Run* found) noexcept nogil:
    """What a request has for a part; False: it is missing. ``host``: room for a name."""
    cdef Span value
    cdef bint is_there
    if part.source == HEADER or part.source == COOKIE or part.source == QUERY:
        if part.source == HEADER:
            is_there = only_field_of(asked.head, asked.raw, part.name.at, part.name.size, &value)
        elif part.source == COOKIE:
            is_there = only_cookie_of(asked.head, asked.raw, part.name.at, part.name.size, &value)
        else:
            is_there = only_parameter_of(asked.head, asked.raw, part.name.at, part.name.size, &value)
        if is_there:
            found[0] = _run(asked.raw + value.start, value.size)
        return is_there
    if part.source == CLIENT_IP:
        found[0] = asked.client
    elif part.source == AUTH_TENANT:
        found[0] = asked.tenant
    elif part.source == AUTH_SUBJECT:
        found[0] = asked.subject
    elif part.source == AUTH_KEY:
        found[0] = asked.digest
    elif part.source == PATH:
        found[0] = asked.path
    elif part.source == ROUTE:
        found[0] = asked.route
    elif part.source == UPSTREAM:
        found[0] = asked.upstream
    elif part.source == ENDPOINT:
        found[0] = asked.endpoint
    elif part.source == METHOD:
        found[0] = _run(asked.raw + asked.head.method_text.start, asked.head.method_text.size)
    elif part.source == HOST:
        found[0] = _run(host, host_name(asked.raw + asked.head.host.start, asked.head.host.size, host))
    else:
        found[0] = part.name
    return True


# -- a key as it is shown: in status, recordings and answers to who asks control ---------------------------------------

cdef struct Text:
    char* at
    size_t size
    size_t room


cdef void _write(Text* text, const char* at, size_t size) noexcept nogil:
    """As much as there is room for; what would be no text in a terminal becomes "?"."""
    cdef size_t i
    for i in range(size):
        if text.size == text.room:
            return
        text.at[text.size] = c"?" if <uint8_t>at[i] < 0x20 or at[i] == 0x7F else at[i]
        text.size += 1


cdef void _write_hex(Text* text, const uint8_t* at, size_t size) noexcept nogil:
    cdef char[2] digits
    cdef size_t i
    for i in range(size):
        digits[0] = HEX[at[i] >> 4]
        digits[1] = HEX[at[i] & 15]
        _write(text, digits, 2)


cdef void _write_shortened(Text* text, siphash_key key, const Run* value) noexcept nogil:
    """The beginning of what may be a secret, a quarter of it at most, and enough of its hash to tell it from others."""
    cdef uint64_t hash = siphash(key, value.at, value.size)
    _write(text, value.at, SHOWN_MAX if value.size // 4 > SHOWN_MAX else value.size // 4)
    _write(text, "~", 1)
    _write_hex(text, <const uint8_t*>&hash, HASH_SHOWN)


cdef class RequestKey:
    """secret: the region's. name: the limit's. parts: config.limit_keys.KeyPart."""

    def __init__(self, bytes secret not None, str name not None, parts):
        cdef bytes text
        cdef char nothing = 0
        cdef int i
        global last_serial
        last_serial += 1
        self.serial = last_serial
        if len(parts) > PARTS_MAX:
            raise ValueError(f"a key has at most {PARTS_MAX} parts, not {len(parts)}")
        self.fingerprints = Fingerprints(secret, name)
        self.nothing = self.fingerprints.of(&nothing, 0)
        self.kept = []
        self.count = len(parts)
        for i, part in enumerate(parts):
            text = part.name.encode()
            self.kept.append(text)
            self.parts[i].source = SOURCES[part.source]
            self.parts[i].ipv6_prefix = part.ipv6_prefix
            self.parts[i].name = _run_of(text)
        sources = {part.source for part in parts}
        if sources and sources <= {"client.ip", "constant"}:
            self.stays_with = CLIENT
        elif sources and sources <= {"auth.subject", "auth.tenant", "auth.key", "constant"}:
            self.stays_with = IDENTITY

    cdef uint64_t of(self, const Asked* asked, bint* is_missing) noexcept nogil:
        cdef KeptPrint* kept = NULL
        cdef int i
        if self.count == 0:
            is_missing[0] = False
            return self.nothing
        if self.stays_with == CLIENT:
            kept = asked.with_client
        elif self.stays_with == IDENTITY:
            kept = asked.with_identity
        if kept == NULL:
            return self.make(asked, is_missing)
        is_missing[0] = False       # an address, and who asks, never is
        for i in range(KEPT_PRINTS):
            if kept[i].serial == self.serial:
                return kept[i].fingerprint
        kept += self.serial % KEPT_PRINTS
        kept.fingerprint = self.make(asked, is_missing)
        kept.serial = self.serial
        return kept.fingerprint

    cdef uint64_t make(self, const Asked* asked, bint* is_missing) noexcept nogil:
        cdef char[KEY_MAX] key
        cdef char* out = key
        cdef char[HOST_MAX] host
        cdef const Part* part
        cdef Run run
        cdef int i
        is_missing[0] = False
        for i in range(self.count):
            part = &self.parts[i]
            if part.source == CLIENT_IP:
                out = _put_address(out, self.fingerprints.key, &asked.client, part.ipv6_prefix)
            elif not _find(part, asked, host, &run):
                is_missing[0] = True
                out = _tag(out, part.source, ABSENT)
            elif part.source == QUERY:
                out = _put_query(out, self.fingerprints.key, run.at, run.size, True)
            else:
                out = _put(out, self.fingerprints.key, part.source, run.at, run.size)
        return self.fingerprints.of(key, out - key)

    cdef size_t show(self, const Asked* asked, bint shows_values, char* out, size_t room) noexcept nogil:
        cdef char[HOST_MAX] host
        cdef const Part* part
        cdef Text text
        cdef Run run
        cdef int i
        text.at, text.size, text.room = out, 0, room
        for i in range(self.count):
            part = &self.parts[i]
            if i:
                _write(&text, ", ", 2)
            if not _find(part, asked, host, &run):
                _write(&text, "(missing)", 9)
            elif part.source == AUTH_KEY:
                _write(&text, "sha256:", DIGEST_PREFIX)
                _write_hex(&text, <const uint8_t*>run.at, DIGEST_SHOWN if run.size >= DIGEST_SHOWN else <int>run.size)
            elif (part.source == HEADER or part.source == COOKIE or part.source == QUERY) and not shows_values:
                _write_shortened(&text, self.fingerprints.key, &run)
            else:
                _write(&text, run.at, run.size)
        if self.count == 0:
            _write(&text, "(all)", 5)
        return text.size

    cdef uint64_t of_nothing(self) noexcept nogil:
        return self.nothing

    cdef uint64_t of_text(self, const char* text, size_t size) noexcept nogil:
        cdef char[KEY_MAX] key
        cdef char[HOST_MAX] host
        cdef char[DIGEST_SIZE] digest
        cdef char* out = key
        cdef Run run = _run(text, size)
        cdef uint8_t source = self.parts[0].source
        if source == CLIENT_IP:
            out = _put_address(out, self.fingerprints.key, &run, self.parts[0].ipv6_prefix)
        elif source == QUERY:
            out = _put_query(out, self.fingerprints.key, text, size, False)
        else:
            if source == HOST:
                run = _run(host, host_name(text, size, host))
            elif source == AUTH_KEY and _read_digest(text, size, digest):
                run = _run(digest, DIGEST_SIZE)
            out = _put(out, self.fingerprints.key, source, run.at, run.size)
        return self.fingerprints.of(key, out - key)

    def fingerprint(
        self, bytes head not None, *, bytes client=b"192.0.2.1", bytes path=b"/", bytes route=b"", bytes upstream=b"",
        bytes endpoint=b"", bytes subject=b"", bytes tenant=b"", bytes digest=b"",
    ):
        cdef RequestHead parsed
        cdef Asked asked
        cdef bint is_missing
        cdef uint64_t found
        ask_of(head, &parsed, &asked)
        asked.client = _run_of(client)
        asked.path = _run_of(path)
        asked.route = _run_of(route)
        asked.upstream = _run_of(upstream)
        asked.endpoint = _run_of(endpoint)
        asked.subject = _run_of(subject)
        asked.tenant = _run_of(tenant)
        asked.digest = _run_of(digest)
        found = self.of(&asked, &is_missing)
        return found, bool(is_missing)

    def shown(
        self, bytes head not None, *, bytes client=b"192.0.2.1", bytes subject=b"", bytes tenant=b"", bytes digest=b"",
        bint shows_values=False, int room=84,
    ):
        cdef RequestHead parsed
        cdef Asked asked
        cdef bytearray out = bytearray(room)
        ask_of(head, &parsed, &asked)
        asked.client = _run_of(client)
        asked.subject = _run_of(subject)
        asked.tenant = _run_of(tenant)
        asked.digest = _run_of(digest)
        return bytes(out[:self.show(&asked, shows_values, out, room)])

    def fingerprint_times(self, bytes head not None, long times):
        cdef RequestHead parsed
        cdef Asked asked
        cdef bint is_missing
        cdef long i
        ask_of(head, &parsed, &asked)
        for i in range(times):
            self.of(&asked, &is_missing)

    def fingerprint_of_text(self, bytes text not None):
        return self.of_text(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    def __repr__(self):
        return f"<RequestKey of {self.count} parts>"
