"""The access log line, formatted in C into the shared ring of the worker's slot.

The configured format is compiled once into pieces: a literal and what follows it. ``write`` runs over them for each
finished exchange, makes no Python object, takes no lock and never waits; when the ring is full the line is counted
as lost. A line is bounded: each text is cut at ``clip_bytes`` (marked with "…"), and whatever bytes a client
sends, the line stays one line, and JSON stays JSON.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy, memset

from tidegate.memory.log_ring cimport LogRing
from tidegate.observe.line_format cimport (
    COMBINED_SIZE,
    DECIMAL_MAX,
    JSON_GROWTH,
    STAMP_SIZE,
    put_combined_second,
    put_json_text,
    put_log_text,
    put_second,
    put_thousandths,
    put_two,
    put_uint,
)

from tidegate.config.log_fields import COMBINED, DEFAULT_FIELDS, check_fields, split_format

cdef enum PieceKind:
    NOTHING = 0
    TEXT
    U8_OR_NONE
    U16
    U16_OR_NONE
    U32
    U32_OR_NONE
    U64
    U64_OR_NONE
    MS
    MS_OR_NONE
    STAMP
    COMBINED_TIME
    REQUEST
    PROTOCOL
    TLS
    EVENT
    EXTRA

cdef enum:
    LITERAL_MAX = 40            # sizeof(Piece.literal)
    EXTRA_MAX = 8192            # bytes of exchange.log in one line
    CLIP_MARK = 3               # "…"
    SLACK = 128                 # what a literal's fixed copy overruns, the closing of the line, the mark of a dropped extra


cdef tuple place_of(str name):
    # (kind, offset in the record) of a field
    cdef ExchangeRecord r
    cdef char* start = <char*>&r
    places = {
        "ts": (STAMP, 0),
        "time_combined": (COMBINED_TIME, 0),
        "extra": (EXTRA, 0),
        "request": (REQUEST, 0),
        "event": (EVENT, 0),
        "request_id": (TEXT, <char*>&r.request_id - start),
        "client": (TEXT, <char*>&r.client - start),
        "peer": (TEXT, <char*>&r.peer_address - start),
        "client_port": (U16_OR_NONE, <char*>&r.client_port - start),
        "method": (TEXT, <char*>&r.method - start),
        "target": (TEXT, <char*>&r.target - start),
        "host": (TEXT, <char*>&r.host - start),
        "protocol": (PROTOCOL, 0),
        "status": (U16, <char*>&r.status - start),
        "bytes_in": (U64, <char*>&r.request_bytes - start),
        "bytes_out": (U64, <char*>&r.response_bytes - start),
        "duration_ms": (MS, <char*>&r.duration_ns - start),
        "upstream_ms": (MS_OR_NONE, <char*>&r.upstream_ns - start),
        "connect_ms": (MS_OR_NONE, <char*>&r.connect_ns - start),
        "route": (TEXT, <char*>&r.route - start),
        "upstream": (TEXT, <char*>&r.upstream - start),
        "endpoint": (TEXT, <char*>&r.endpoint - start),
        "upstream_status": (U16_OR_NONE, <char*>&r.upstream_status - start),
        "attempts": (U8_OR_NONE, <char*>&r.attempts - start),
        "error": (TEXT, <char*>&r.error - start),
        "detail": (TEXT, <char*>&r.detail - start),
        "limit": (TEXT, <char*>&r.limit - start),
        "connection": (U64, <char*>&r.downstream_serial - start),
        "connection_uses": (U32, <char*>&r.downstream_uses - start),
        "upstream_connection": (U64_OR_NONE, <char*>&r.upstream_serial - start),
        "upstream_connection_uses": (U32_OR_NONE, <char*>&r.upstream_uses - start),
        "tls": (TLS, 0),
        "user_agent": (TEXT, <char*>&r.user_agent - start),
        "referer": (TEXT, <char*>&r.referer - start),
    }
    return places[name]


cdef class AccessLog:
    """Writes the access log of one worker.

    ``ring`` takes the lines; None: the log is off. ``line_format`` is "json", "combined", or a string with ``{name}`` pieces;
    ``fields`` are the members of a JSON line and their order; none: the default ones. Each text is cut at ``clip_bytes``.
    Raises ``ValueError`` that names what it does not know.
    """

    def __cinit__(self, LogRing ring, line_format="json", fields=(), clip_bytes: int = 2048):
        if not 16 <= clip_bytes <= 65536:
            raise ValueError(f"clip_bytes is 16 to 65536, not {clip_bytes}")
        self.is_on = ring is not None
        self.is_json = line_format == "json"
        self.ring = ring
        self.clip_bytes = clip_bytes
        self.cached_second = -1
        compiled: list = []
        if self.is_json:
            check_fields(fields)
            for name in fields or DEFAULT_FIELDS:
                kind, offset = place_of(name)
                quote = '"' if kind in (TEXT, STAMP, PROTOCOL, EVENT) else ""
                compiled.append((f',"{name}":{quote}'.encode(), kind, offset))
        else:
            for literal, name in split_format(COMBINED if line_format == "combined" else line_format):
                raw = literal.encode()
                while len(raw) > LITERAL_MAX:
                    compiled.append((raw[:LITERAL_MAX], NOTHING, 0))
                    raw = raw[LITERAL_MAX:]
                compiled.append((raw, *(place_of(name) if name else (NOTHING, 0))))
        self.compile_pieces(compiled)

    cdef compile_pieces(self, list compiled):
        cdef Piece* piece
        cdef int i
        self.n_pieces = len(compiled)
        owner = bytearray(self.n_pieces * sizeof(Piece) + 1)
        self.pieces_owner = owner
        self.pieces = <char*>owner
        self.fixed_size = SLACK
        self.text_repeats = 1
        seen: dict = {}
        for i, (literal, kind, offset) in enumerate(compiled):
            piece = <Piece*>self.pieces + i
            memcpy(piece.literal, <const char*>(<bytes>literal), len(literal))
            piece.literal_size = len(literal)
            piece.kind = kind
            piece.offset = offset
            self.fixed_size += len(literal) + max(DECIMAL_MAX, STAMP_SIZE, COMBINED_SIZE) + CLIP_MARK + 2
            if kind == REQUEST:
                self.fixed_size += 2 * (CLIP_MARK + 2) + 9
            if kind == EXTRA:
                self.fixed_size += EXTRA_MAX
            for text in ("method", "target") if kind == REQUEST else (offset,) if kind == TEXT else ():
                at = place_of(text)[1] if kind == REQUEST else text
                seen[at] = seen.get(at, 0) + 1
                self.text_repeats = max(self.text_repeats, <uint32_t>seen[at])

    cdef void remember_second(self, int64_t second) noexcept:
        put_second(self.cached_stamp, second)
        put_combined_second(self.cached_combined, second)
        self.cached_second = second

    cdef inline uint32_t clipped(self, const Text* text) noexcept:
        return text.size if text.size <= self.clip_bytes else self.clip_bytes

    cdef char* put_text(self, char* p, const Text* text) noexcept:
        cdef uint32_t size = text.size
        cdef uint32_t back = 0
        if size > self.clip_bytes:
            size = self.clip_bytes
            while back < 3 and (<const uint8_t*>text.at)[size] & 0xC0 == 0x80:      # not through a character
                size -= 1
                back += 1
        p = put_json_text(p, text.at, size) if self.is_json else put_log_text(p, text.at, size)
        if size < text.size:
            memcpy(p, b"\xe2\x80\xa6" if self.is_json else b"...", CLIP_MARK)
            p += CLIP_MARK
        return p

    cdef char* put_extra(self, char* p, const Text* extra) noexcept:
        # Rendered by our own code from what filters put there: checked for the one thing that would break the log.
        if extra.size > <uint32_t>EXTRA_MAX or memchr(extra.at, c'\n', extra.size) != NULL:
            memcpy(p, b',"extra_dropped":true', 21)
            return p + 21
        memcpy(p, extra.at, extra.size)
        return p + extra.size

    cdef char* put_pieces(self, char* p, const ExchangeRecord* record) noexcept:
        cdef const Piece* piece = <const Piece*>self.pieces
        cdef const Piece* end = piece + self.n_pieces
        cdef const char* base = <const char*>record
        cdef const Text* text
        cdef char* start
        cdef uint64_t value
        cdef uint32_t micros
        cdef bint json = self.is_json
        cdef int kind
        while piece < end:
            start = p
            memcpy(p, piece.literal, LITERAL_MAX)
            p += piece.literal_size
            kind = piece.kind
            if kind == TEXT:
                text = <const Text*>(base + piece.offset)
                if text.size:
                    p = self.put_text(p, text)
                    if json:
                        p[0] = c'"'
                        p += 1
                    piece += 1
                    continue
            elif kind == U16:
                p = put_uint(p, (<const uint16_t*>(base + piece.offset))[0])
                piece += 1
                continue
            elif kind == U64:
                p = put_uint(p, (<const uint64_t*>(base + piece.offset))[0])
                piece += 1
                continue
            elif kind == U32:
                p = put_uint(p, (<const uint32_t*>(base + piece.offset))[0])
                piece += 1
                continue
            elif kind == MS:
                p = put_thousandths(p, (<const uint64_t*>(base + piece.offset))[0] / 1000)
                piece += 1
                continue
            elif kind == STAMP:
                memcpy(p, self.cached_stamp, 19)
                p[19] = c'.'
                micros = <uint32_t>(record.started_us % 1000000) if record.started_us > 0 else 0
                p = put_two(put_two(put_two(p + 20, micros / 10000), micros / 100 % 100), micros % 100)
                p[0] = c'Z'
                p[1] = c'"'
                p += 2 if json else 1
                piece += 1
                continue
            elif kind == U64_OR_NONE:
                value = (<const uint64_t*>(base + piece.offset))[0]
                if value:
                    p = put_uint(p, value)
                    piece += 1
                    continue
            elif kind == U32_OR_NONE:
                value = (<const uint32_t*>(base + piece.offset))[0]
                if value:
                    p = put_uint(p, value)
                    piece += 1
                    continue
            elif kind == U16_OR_NONE:
                value = (<const uint16_t*>(base + piece.offset))[0]
                if value:
                    p = put_uint(p, value)
                    piece += 1
                    continue
            elif kind == U8_OR_NONE:
                value = (<const uint8_t*>(base + piece.offset))[0]
                if value:
                    p = put_uint(p, value)
                    piece += 1
                    continue
            elif kind == MS_OR_NONE:
                value = (<const uint64_t*>(base + piece.offset))[0]
                if value:
                    p = put_thousandths(p, value / 1000)
                    piece += 1
                    continue
            elif kind == TLS:
                if record.tls:
                    memcpy(p, b"true", 4)
                    p += 4
                    piece += 1
                    continue
            elif kind == EVENT:
                if record.event:
                    if record.event == LOG_UPGRADE_OPENED:
                        memcpy(p, b"upgrade_opened", 14)
                    else:
                        memcpy(p, b"upgrade_closed", 14)
                    p += 14
                    if json:
                        p[0] = c'"'
                        p += 1
                    piece += 1
                    continue
            elif kind == PROTOCOL:
                memcpy(p, b"HTTP/1.0", 8)
                p[7] = <char>(48 + record.minor % 10)
                p[8] = c'"'
                p += 9 if json else 8
                piece += 1
                continue
            elif kind == COMBINED_TIME:
                memcpy(p, self.cached_combined, COMBINED_SIZE)
                p += COMBINED_SIZE
                piece += 1
                continue
            elif kind == REQUEST:
                if record.method.size:
                    p = self.put_text(p, &record.method)
                    p[0] = c' '
                    p = self.put_text(p + 1, &record.target)
                    memcpy(p, b" HTTP/1.0", 9)
                    p[8] = <char>(48 + record.minor % 10)
                    p += 9
                    piece += 1
                    continue
            elif kind == EXTRA:
                if record.extra.size:
                    start = p
                    p = self.put_extra(p, &record.extra)
                    start[0] = c'{'
                    p[0] = c'}'
                    p += 1
                    piece += 1
                    continue
            else:
                piece += 1
                continue
            # No value: a JSON member is left out, a format string says so.
            piece += 1
            if json:
                p = start
            else:
                p[0] = c'-'
                p += 1
        return p

    cdef void write(self, const ExchangeRecord* record) noexcept:
        cdef uint64_t room
        cdef int64_t second
        cdef char* line
        cdef char* p
        if not self.is_on:
            return
        second = record.started_us / 1000000
        if second != self.cached_second:
            self.remember_second(min(max(second, 0), <int64_t>253402300799))
        room = (
            self.clipped(&record.method) + self.clipped(&record.target) + self.clipped(&record.host)
            + self.clipped(&record.client) + self.clipped(&record.peer_address) + self.clipped(&record.route)
            + self.clipped(&record.upstream) + self.clipped(&record.endpoint) + self.clipped(&record.request_id)
            + self.clipped(&record.user_agent) + self.clipped(&record.referer) + self.clipped(&record.error)
            + self.clipped(&record.detail) + self.clipped(&record.limit)
        )
        room = room * <uint64_t>JSON_GROWTH * self.text_repeats + self.fixed_size
        room += min(record.extra.size, <uint32_t>EXTRA_MAX)
        if room > 0xFFFFFFFF:
            room = 0xFFFFFFFF       # more than any ring has: counted as lost
        line = self.ring.reserve(<uint32_t>room)
        if line == NULL:
            return
        p = self.put_pieces(line, record)
        if self.is_json:
            if record.extra.size:
                p = self.put_extra(p, &record.extra)
            if p == line:
                p += 1
            line[0] = c'{'          # in place of the first member's comma
            p[0] = c'}'
            p += 1
        p[0] = c'\n'
        self.ring.commit(<uint32_t>(p + 1 - line))

    def log(self, fields: dict, times: int = 1) -> None:
        """Writes ``times`` lines for a record given by the names of ``ExchangeRecord``: numbers and bytes.

        For Python code off the request path; the data plane calls ``write``.
        """
        cdef ExchangeRecord r
        cdef int i
        memset(&r, 0, sizeof(r))
        numbers: dict = dict(fields)
        keep: list = []
        take_text(&r.method, numbers.pop("method", b""), keep)
        take_text(&r.target, numbers.pop("target", b""), keep)
        take_text(&r.host, numbers.pop("host", b""), keep)
        take_text(&r.client, numbers.pop("client", b""), keep)
        take_text(&r.peer_address, numbers.pop("peer_address", b""), keep)
        take_text(&r.route, numbers.pop("route", b""), keep)
        take_text(&r.upstream, numbers.pop("upstream", b""), keep)
        take_text(&r.endpoint, numbers.pop("endpoint", b""), keep)
        take_text(&r.request_id, numbers.pop("request_id", b""), keep)
        take_text(&r.user_agent, numbers.pop("user_agent", b""), keep)
        take_text(&r.referer, numbers.pop("referer", b""), keep)
        take_text(&r.error, numbers.pop("error", b""), keep)
        take_text(&r.detail, numbers.pop("detail", b""), keep)
        take_text(&r.limit, numbers.pop("limit", b""), keep)
        take_text(&r.extra, numbers.pop("extra", b""), keep)
        r.started_us = numbers.pop("started_us", 0)
        r.duration_ns = numbers.pop("duration_ns", 0)
        r.upstream_ns = numbers.pop("upstream_ns", 0)
        r.connect_ns = numbers.pop("connect_ns", 0)
        r.request_bytes = numbers.pop("request_bytes", 0)
        r.response_bytes = numbers.pop("response_bytes", 0)
        r.downstream_serial = numbers.pop("downstream_serial", 0)
        r.upstream_serial = numbers.pop("upstream_serial", 0)
        r.downstream_uses = numbers.pop("downstream_uses", 0)
        r.upstream_uses = numbers.pop("upstream_uses", 0)
        r.status = numbers.pop("status", 0)
        r.upstream_status = numbers.pop("upstream_status", 0)
        r.client_port = numbers.pop("client_port", 0)
        r.minor = numbers.pop("minor", 1)
        r.event = numbers.pop("event", 0)
        r.tls = numbers.pop("tls", 0)
        r.attempts = numbers.pop("attempts", 0)
        if numbers:
            raise TypeError(f"a record has no {', '.join(numbers)}")
        for i in range(times):
            self.write(&r)

    def __repr__(self):
        return f"<AccessLog {'on' if self.is_on else 'off'}, {self.n_pieces} pieces>"


cdef int take_text(Text* text, bytes value, list keep) except -1:
    keep.append(value)
    text.at = value
    text.size = len(value)
    return 0
