"""Outgoing heads, written from the bytes that came.

Runs of lines that go on are copied with one memcpy. Left out, both ways: what belongs to one hop (RFC 9110 section 7.6.1)
and what Connection names; towards the upstream also every field the gateway sets itself, in any spelling, and names with an
underscore (many servers take ``X_User_Id`` for ``X-User-Id``) unless the listener lets them in. Framing is written anew,
from what was understood, so that two servers cannot read one message in two ways.

Forwarding fields of a client that is no trusted proxy are removed before the gateway's own are written.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from tidegate.exchange.edits cimport Edit, Edits
from tidegate.exchange.state cimport Client, ExchangeState
from tidegate.wire.http1 cimport (
    FIELD_CONNECTION, FIELD_CONTENT_LENGTH, FIELD_DATE, FIELD_EXPECT, FIELD_FORWARDED, FIELD_HAS_UNDERSCORE, FIELD_HIDDEN,
    FIELD_HOST, FIELD_HTTP2_SETTINGS, FIELD_KEEP_ALIVE, FIELD_NAMED_BY_CONNECTION, FIELD_OTHER, FIELD_PROXY_AUTHORIZATION,
    FIELD_PROXY_CONNECTION, FIELD_TE, FIELD_TRAILER, FIELD_TRANSFER_ENCODING, FIELD_UPGRADE, FIELD_VIA,
    FIELD_X_FORWARDED_FOR, FIELD_X_FORWARDED_HOST, FIELD_X_FORWARDED_PROTO, FIELD_X_REQUEST_ID, FRAMING_LENGTH,
    HEAD_CONNECTION_NAMES, HEAD_HAS_HIDDEN, HEAD_HAS_UNDERSCORE, HEAD_UPGRADE, Field, RequestHead, ResponseHead, Span,
)

cdef enum:
    OWN_LINES = 1024        # of the gateway, values of unbounded size apart

cdef uint64_t ONE = 1
cdef uint64_t HOP_BY_HOP = (
    ONE << FIELD_CONNECTION | ONE << FIELD_KEEP_ALIVE | ONE << FIELD_PROXY_CONNECTION | ONE << FIELD_TE
    | ONE << FIELD_TRAILER | ONE << FIELD_TRANSFER_ENCODING | ONE << FIELD_UPGRADE | ONE << FIELD_HTTP2_SETTINGS
)
cdef uint64_t NOT_FORWARDED = (
    HOP_BY_HOP | ONE << FIELD_PROXY_AUTHORIZATION | ONE << FIELD_EXPECT | ONE << FIELD_X_FORWARDED_FOR
    | ONE << FIELD_X_FORWARDED_PROTO | ONE << FIELD_X_FORWARDED_HOST | ONE << FIELD_FORWARDED | ONE << FIELD_X_REQUEST_ID
)


cdef inline char* _put(char* out, const char* text, size_t size) noexcept:
    memcpy(out, text, size)
    return out + size


cdef inline char* _put_bytes(char* out, bytes text) noexcept:
    return _put(out, <const char*>text, len(text))


cdef inline char* _put_number(char* out, uint64_t number) noexcept:
    cdef char[20] digits
    cdef int i = 20
    while True:
        i -= 1
        digits[i] = <char>(48 + number % 10)
        number //= 10
        if number == 0:
            break
    return _put(out, digits + i, 20 - i)


cdef bytes forwarding_lines(bytes address, bint is_tls):
    """The forwarding fields that are the same for all requests of a connection."""
    proto = b"https" if is_tls else b"http"
    if address == b"unix":
        # As Envoy does: the field has no word for a client without an address, and what reads it expects one.
        return b"X-Forwarded-Proto: %b\r\n" % proto
    return b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (address, proto)


cdef bytes forwarded_element(bytes address, bint is_tls):
    """What Forwarded (RFC 7239) says of a connection; the host is each request's own."""
    node = b'"[%b]"' % address if b":" in address else address
    if address == b"unix":
        node = b"unknown"       # section 6.2: what has no address
    return b"for=%b;proto=%b" % (node, b"https" if is_tls else b"http")


cdef inline bint _claims_origin(const char* name, size_t size) noexcept:
    # "X-Forwarded-…" and "X-Real-IP": fields of the same family that the gateway does not write.
    cdef const char* text
    cdef size_t i
    if size < 9 or (name[0] | 32) != c"x":
        return False
    text = "x-forwarded-"
    if size == 9:
        text = "x-real-ip"
    elif size <= 12:
        return False
    i = 0
    while text[i] != 0:
        if text[i] == c"-":
            if name[i] != c"-" and name[i] != c"_":
                return False
        elif (name[i] | 32) != text[i]:
            return False
        i += 1
    return True


cdef char* _put_chain(char* out, const RequestHead* head, const char* raw, int id) noexcept:
    """What trusted proxies wrote into a list so far, all its lines, with the comma for what follows."""
    cdef const Field* field
    cdef int i
    for i in range(head.n_fields):
        field = &head.fields[i]
        if field.id == id and not field.flags & FIELD_HAS_UNDERSCORE and field.value.size != 0:
            out = _put(out, raw + field.value.start, field.value.size)
            out = _put(out, b", ", 2)
    return out


cdef uint64_t _replaced(Edits edits) noexcept:
    """Which of the fields that the gateway writes itself are left to an edit."""
    cdef uint64_t found = 0
    if edits.drops(b"X-Forwarded-For", 15):
        found |= ONE << FIELD_X_FORWARDED_FOR
    if edits.drops(b"X-Forwarded-Proto", 17):
        found |= ONE << FIELD_X_FORWARDED_PROTO
    if edits.drops(b"X-Forwarded-Host", 16):
        found |= ONE << FIELD_X_FORWARDED_HOST
    if edits.drops(b"Forwarded", 9):
        found |= ONE << FIELD_FORWARDED
    if edits.drops(b"Via", 3):
        found |= ONE << FIELD_VIA
    if edits.drops(b"X-Request-ID", 12):
        found |= ONE << FIELD_X_REQUEST_ID
    return found


cdef size_t request_room(ExchangeState x) noexcept:
    cdef size_t room = OWN_LINES + 2 * <size_t>x.raw.size + x.path.size + x.sent_path.size
    room += 3 * <size_t>x.request.host.size
    if x.request_edits is not None:
        room += x.request_edits.bound()
    return room


cdef size_t response_room(ExchangeState x) noexcept:
    cdef size_t room = OWN_LINES + x.response.size
    if x.set_cookie is not None:
        room += len(x.set_cookie)
    if x.response_edits is not None:
        room += x.response_edits.bound()
    return room


cdef size_t compose_request(ExchangeState x, char* out, const char* host, size_t host_size, bint allow_underscores):
    """Writes the request's head; the caller has seen to ``request_room``. ``host``: what to send instead of the client's
    Host, or NULL. Returns its size."""
    cdef const RequestHead* head = &x.request
    cdef const char* raw = x.raw.at
    cdef char* start = out
    cdef Client client = x.client
    cdef const Field* field
    cdef size_t run, i
    cdef uint64_t dropped = NOT_FORWARDED
    cdef bint odd = (head.flags & (HEAD_HAS_UNDERSCORE | HEAD_CONNECTION_NAMES | HEAD_HAS_HIDDEN)) != 0
    cdef bint edited = x.request_edits is not None and x.request_edits.count != 0
    cdef bint trusted = client.is_trusted
    cdef bint drop
    cdef const Field* forwarded_proto = NULL
    cdef const Field* forwarded_host = NULL
    cdef Edit* new_host = NULL
    cdef uint64_t replaced = 0      # fields of the gateway's own that an edit sets or removes

    # the request line
    out = _put(out, raw + head.method_text.start, head.method_text.size)
    out[0] = c" "
    out += 1
    if x.has_sent_path:
        out = _put(out, x.sent_path.at, x.sent_path.size)
    elif x.path_is_own and not x.route.sends_raw_path:
        out = _put(out, x.path.at, x.path.size)
    else:
        out = _put(out, raw + head.path.start, head.path.size)
    if head.query.start != 0:
        out[0] = c"?"
        out = _put(out + 1, raw + head.query.start, head.query.size)
    out = _put(out, b" HTTP/1.1\r\n", 11)
    if edited:
        new_host = x.request_edits.find(b"Host", 4)
        replaced = _replaced(x.request_edits)
    if new_host != NULL:
        dropped |= ONE << FIELD_HOST    # the edit is written with the others
    elif host != NULL or head.host.size == 0:
        dropped |= ONE << FIELD_HOST
        out = _put(out, b"Host: ", 6)
        out = _put(out, host, host_size)
        out = _put(out, b"\r\n", 2)
    if head.framing != FRAMING_LENGTH or x.request_is_chunked_out:
        dropped |= ONE << FIELD_CONTENT_LENGTH

    # the client's lines
    if head.n_fields:
        run = head.fields[0].name.start
        for i in range(head.n_fields):
            field = &head.fields[i]
            drop = (dropped >> field.id) & 1
            if odd and not drop:
                if field.flags & (FIELD_NAMED_BY_CONNECTION | FIELD_HIDDEN):
                    drop = True
                elif field.flags & FIELD_HAS_UNDERSCORE and (not allow_underscores or field.id != FIELD_OTHER):
                    drop = True
            if not drop and field.id == FIELD_OTHER and not trusted:
                drop = _claims_origin(raw + field.name.start, field.name.size)
            if not drop and edited:
                drop = x.request_edits.drops(raw + field.name.start, field.name.size)
            if drop:
                if field.name.start != run:
                    out = _put(out, raw + run, field.name.start - run)
                run = field.line_end
                if trusted and not field.flags & FIELD_HAS_UNDERSCORE:
                    if field.id == FIELD_X_FORWARDED_PROTO:
                        forwarded_proto = field
                    elif field.id == FIELD_X_FORWARDED_HOST:
                        forwarded_host = field
        if head.fields[head.n_fields - 1].line_end != run:
            out = _put(out, raw + run, head.fields[head.n_fields - 1].line_end - run)

    # the gateway's own
    if not trusted and not replaced & (ONE << FIELD_X_FORWARDED_FOR | ONE << FIELD_X_FORWARDED_PROTO):
        out = _put_bytes(out, client.forwarding)
    else:
        if not replaced >> FIELD_X_FORWARDED_FOR & 1 and not client.is_unix:
            out = _put(out, b"X-Forwarded-For: ", 17)
            if trusted:
                out = _put_chain(out, head, raw, FIELD_X_FORWARDED_FOR)
            out = _put_bytes(out, client.address)
            out = _put(out, b"\r\n", 2)
        if not replaced >> FIELD_X_FORWARDED_PROTO & 1:
            out = _put(out, b"X-Forwarded-Proto: ", 19)
            if forwarded_proto != NULL:
                out = _put(out, raw + forwarded_proto.value.start, forwarded_proto.value.size)
            else:
                out = _put(out, b"https", 5 if client.is_tls else 4)
            out = _put(out, b"\r\n", 2)
    if not replaced >> FIELD_X_FORWARDED_HOST & 1:
        if forwarded_host != NULL:
            out = _put(out, b"X-Forwarded-Host: ", 18)
            out = _put(out, raw + forwarded_host.value.start, forwarded_host.value.size)
            out = _put(out, b"\r\n", 2)
        elif head.host.size != 0:
            out = _put(out, b"X-Forwarded-Host: ", 18)
            out = _put(out, raw + head.host.start, head.host.size)
            out = _put(out, b"\r\n", 2)
    if not replaced >> FIELD_FORWARDED & 1:
        out = _put(out, b"Forwarded: ", 11)
        if trusted:
            out = _put_chain(out, head, raw, FIELD_FORWARDED)
        out = _put_bytes(out, client.forwarded_for)
        if head.host.size != 0:
            out = _put(out, b';host="', 7)
            out = _put(out, raw + head.host.start, head.host.size)
            out[0] = c'"'
            out += 1
        out = _put(out, b"\r\n", 2)
    if not replaced >> FIELD_VIA & 1:
        out = _put(out, b"Via: 1.0 tidegate\r\n" if head.minor == 0 else b"Via: 1.1 tidegate\r\n", 19)
    if not replaced >> FIELD_X_REQUEST_ID & 1:
        out = _put(out, b"X-Request-ID: ", 14)
        out = _put(out, x.request_id, x.request_id_size)
        out = _put(out, b"\r\n", 2)
    if x.request_is_chunked_out:
        out = _put(out, b"Transfer-Encoding: chunked\r\n", 28)
    if head.flags & HEAD_UPGRADE and x.route.allows_upgrade:
        out = _put(out, b"Connection: upgrade\r\nUpgrade: ", 30)
        out = _put(out, raw + head.upgrade.start, head.upgrade.size)
        out = _put(out, b"\r\n", 2)
    if edited:
        out = x.request_edits.write(out)
    out = _put(out, b"\r\n", 2)
    return out - start


cdef size_t compose_interim(const ResponseHead* head, const char* raw, char* out) noexcept:
    """Writes the head of an interim answer (1xx), hardly longer than the one that came. Returns its size.

    It has no body whatever it says, so nobody behind the gateway gets to see a length.
    """
    cdef char* start = out
    cdef const Field* field
    cdef size_t i
    out = _put(out, b"HTTP/1.1 ", 9)
    out = _put_number(out, head.status)
    out[0] = c" "
    out = _put(out + 1, raw + head.reason.start, head.reason.size)
    out = _put(out, b"\r\n", 2)
    for i in range(head.n_fields):
        field = &head.fields[i]
        if not (HOP_BY_HOP | ONE << FIELD_CONTENT_LENGTH) >> field.id & 1 and not field.flags & FIELD_NAMED_BY_CONNECTION:
            out = _put(out, raw + field.name.start, field.line_end - field.name.start)
    return _put(out, b"\r\n", 2) - start


cdef size_t compose_response(ExchangeState x, char* out, bint close):
    """Writes the head of the upstream's answer for the client; the caller has seen to ``response_room``.

    close: the connection ends with this answer.
    """
    cdef const ResponseHead* head = &x.response
    cdef const char* raw = x.response_at
    cdef char* start = out
    cdef const Field* field
    cdef size_t run, i
    cdef uint64_t dropped = HOP_BY_HOP
    cdef bint names = (head.flags & HEAD_CONNECTION_NAMES) != 0
    cdef bint edited = x.response_edits is not None and x.response_edits.count != 0
    cdef bint drop
    out = _put(out, b"HTTP/1.1 ", 9)
    out = _put_number(out, x.status)
    out[0] = c" "
    out += 1
    if x.status == head.status:
        out = _put(out, raw + head.reason.start, head.reason.size)
    out = _put(out, b"\r\n", 2)
    if x.response_is_chunked_out or (x.route is not None and x.route.on_response_body is not None):
        # Also in the answer to a HEAD: the length that a GET would get is not known.
        dropped |= ONE << FIELD_CONTENT_LENGTH
    elif x.status == 204 or x.status == 101:
        dropped |= ONE << FIELD_CONTENT_LENGTH      # there is no body, and who believes the length waits for one
    if head.n_fields:
        run = head.fields[0].name.start
        for i in range(head.n_fields):
            field = &head.fields[i]
            drop = (dropped >> field.id) & 1
            if drop and field.flags & FIELD_HAS_UNDERSCORE:
                drop = False    # "Transfer_Encoding" is another field for whoever reads the answer
            if not drop and names and field.flags & FIELD_NAMED_BY_CONNECTION:
                drop = True
            if not drop and edited:
                drop = x.response_edits.drops(raw + field.name.start, field.name.size)
            if drop:
                if field.name.start != run:
                    out = _put(out, raw + run, field.name.start - run)
                run = field.line_end
        if head.fields[head.n_fields - 1].line_end != run:
            out = _put(out, raw + run, head.fields[head.n_fields - 1].line_end - run)
    if x.response_is_chunked_out:
        out = _put(out, b"Transfer-Encoding: chunked\r\n", 28)
    if x.status == 101:
        out = _put(out, b"Connection: upgrade\r\nUpgrade: ", 30)
        out = _put(out, raw + head.upgrade.start, head.upgrade.size)
        out = _put(out, b"\r\n", 2)
    elif close:
        out = _put(out, b"Connection: close\r\n", 19)
    elif x.request.minor == 0:
        out = _put(out, b"Connection: keep-alive\r\n", 24)
    if x.set_cookie is not None:
        out = _put_bytes(out, x.set_cookie)
    if not head.seen >> FIELD_DATE & 1 and x.status != 101 and not x.is_local and not (
        edited and (x.response_edits.drops(b"Date", 4) or x.response_edits.find(b"Date", 4) != NULL)
    ):
        out = _put(out, b"Date: ", 6)       # whoever passes an answer on without one adds it (RFC 9110 section 6.6.1)
        out = _put_bytes(out, x.context.date())
        out = _put(out, b"\r\n", 2)
    if edited:
        out = x.response_edits.write(out)
    out = _put(out, b"\r\n", 2)
    return out - start
