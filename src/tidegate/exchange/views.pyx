"""What a filter sees of an exchange.

A view reads the bytes that came, where they are; a change goes into ``Edits`` and is written with the outgoing head. Views are
made at first use and kept for the next exchange when nobody else holds them; one that a filter kept is cut off when its
exchange ends, and says so.

Field values are text in Latin-1, as HTTP/1.1 has them; names are compared without regard to case, "_" equal to "-". A field
that the client spelt with "_" and that is not sent on (no listener option lets it in) is not there for a filter either: what
a filter believes is what the upstream gets.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint32_t, uint64_t

from tidegate.exchange.edits cimport EDIT_ADD, EDIT_REMOVE, EDIT_SET, Edit, Edits
from tidegate.exchange.request_limits cimport limits_of
from tidegate.exchange.state cimport FILTER, WAITING, ExchangeState, client_address
from tidegate.filters.key_auth cimport NOBODY, Identity
from tidegate.wire.http1 cimport (
    FIELD_CONNECTION, FIELD_CONTENT_LENGTH, FIELD_HAS_UNDERSCORE, FIELD_HIDDEN, FIELD_HOST, FIELD_KEEP_ALIVE, FIELD_OTHER,
    FIELD_PROXY_CONNECTION, FIELD_TE, FIELD_TRAILER, FIELD_TRANSFER_ENCODING, FIELD_UPGRADE,
    FIELD_X_FORWARDED_PROTO, Field, Span, field_id, is_field_value, is_token, same_name,
)
from tidegate.wire.target cimport cookie_value, query_value

from types import MappingProxyType
from urllib.parse import quote, unquote_to_bytes

import msgspec

from tidegate.wire.reasons import REASONS

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t Py_REFCNT(object)

cdef enum:
    ANSWER_HEAD_MAX = 65536     # of an answer that a filter makes: with all that is added it can still be composed
    ANSWER_FIELDS_MAX = 100

cdef uint64_t ONE = 1
# Framing, and what belongs to one connection: a filter that could change these could make two messages of one.
cdef uint64_t OURS = (
    ONE << FIELD_CONNECTION | ONE << FIELD_CONTENT_LENGTH | ONE << FIELD_KEEP_ALIVE | ONE << FIELD_PROXY_CONNECTION
    | ONE << FIELD_TE | ONE << FIELD_TRAILER | ONE << FIELD_TRANSFER_ENCODING | ONE << FIELD_UPGRADE
)
cdef str OVER = "this exchange is over; take what is needed from a view before the filter's method returns"


cdef inline object _text(const char* at, const Span* span):
    return PyUnicode_DecodeLatin1(at + span.start, span.size, NULL)


cdef class Headers:
    """The fields of a head, read and changed in place.

    ``get`` gives the first value of a name, ``get_all`` every one; setting replaces all of them, ``add`` puts one beside, and
    deleting what is not there does nothing. Raises TypeError for names or values that are not str, ValueError for what cannot
    stand in a head, and for fields that frame the message or belong to one connection: those are the gateway's.
    """

    cdef ExchangeState _alive(self):
        if self.exchange is None:
            raise RuntimeError(OVER)
        return self.exchange

    cdef inline const char* _raw(self) noexcept:
        return self.exchange.response_at if self.is_response else self.exchange.raw.at

    cdef Edits _edits(self):
        cdef ExchangeState x = self.exchange
        if self.is_response:
            if x.response_edits is None:
                x.response_edits = Edits()
            return x.response_edits
        if x.request_edits is None:
            x.request_edits = Edits()
        return x.request_edits

    cdef const Field* _find(self, const char* name, size_t size) except? NULL:
        """The first field of the original with this name that no edit leaves out."""
        cdef ExchangeState x = self.exchange
        cdef const Field* fields = &x.response.fields[0] if self.is_response else &x.request.fields[0]
        cdef int count = x.response.n_fields if self.is_response else x.request.n_fields
        cdef const char* raw = self._raw()
        cdef Edits edits = x.response_edits if self.is_response else x.request_edits
        cdef int i
        if edits is not None and edits.drops(name, size):
            return NULL
        for i in range(count):
            if fields[i].name.size == size and same_name(raw + fields[i].name.start, size, name, size) and (
                not self._is_hidden(&fields[i])
            ):
                return &fields[i]
        return NULL

    cdef bint _is_hidden(self, const Field* field) noexcept:
        """Whether ``compose_request`` leaves it out: for its underscores, or because the gateway alone was meant."""
        if self.is_response:
            return False
        return field.flags & FIELD_HIDDEN or (
            field.flags & FIELD_HAS_UNDERSCORE
            and (field.id != FIELD_OTHER or not self.exchange.client.allows_underscores)
        )

    def get(self, str name not None, default=None):
        """The first value of ``name``, or ``default``."""
        cdef ExchangeState x = self._alive()
        cdef Py_ssize_t size
        cdef const char* text = PyUnicode_AsUTF8AndSize(name, &size)
        cdef const Field* field = self._find(text, size)
        cdef Edits edits
        cdef Edit* edit
        if field != NULL:
            return _text(self._raw(), &field.value)
        edits = x.response_edits if self.is_response else x.request_edits
        if edits is not None:
            edit = edits.find(text, size)
            if edit != NULL:
                return _text(edits.arena, &edit.value)
        return default

    def get_all(self, str name not None):
        """Every value of ``name``, in order."""
        cdef Py_ssize_t size
        cdef const char* text = PyUnicode_AsUTF8AndSize(name, &size)
        return self._values(text, size)

    def items(self):
        """All fields as (name, value): those that came, then the changes. What the gateway itself writes is not among them."""
        return self._values(NULL, 0)

    cdef list _values(self, const char* name, size_t size):
        """Values of one name; or, for NULL, names and values of all."""
        cdef ExchangeState x = self._alive()
        cdef const Field* fields = &x.response.fields[0] if self.is_response else &x.request.fields[0]
        cdef int count = x.response.n_fields if self.is_response else x.request.n_fields
        cdef Edits edits = x.response_edits if self.is_response else x.request_edits
        cdef const char* raw = self._raw()
        cdef list found = []
        cdef Span* known
        cdef int i
        for i in range(count):
            if name != NULL and not same_name(raw + fields[i].name.start, fields[i].name.size, name, size):
                continue
            if self._is_hidden(&fields[i]) or (
                edits is not None and edits.drops(raw + fields[i].name.start, fields[i].name.size)
            ):
                continue
            value = _text(raw, &fields[i].value)
            found.append(value if name != NULL else (_text(raw, &fields[i].name), value))
        if edits is not None:
            for i in range(edits.count):
                known = &edits.items[i].name
                if (edits.items[i].kind != EDIT_SET and edits.items[i].kind != EDIT_ADD) or (
                    name != NULL and not same_name(edits.arena + known.start, known.size, name, size)
                ):
                    continue
                value = _text(edits.arena, &edits.items[i].value)
                found.append(value if name != NULL else (_text(edits.arena, known), value))
        return found

    cdef int _put(self, int kind, name, value) except -1:
        cdef Py_ssize_t name_size, value_size
        cdef const char* name_text
        cdef const char* value_text
        cdef bytes encoded
        cdef int id
        if type(name) is not str or type(value) is not str:
            raise TypeError(f"names and values of header fields are str, not {type(name).__name__} and {type(value).__name__}")
        name_text = PyUnicode_AsUTF8AndSize(name, &name_size)
        id = field_id(name_text, name_size)
        if (OURS >> id) & 1:
            raise ValueError(f"{name} is the gateway's: it frames the message or belongs to one connection")
        if id == FIELD_HOST and kind == EDIT_REMOVE:
            raise ValueError("a request has a Host; it can be set, not removed")
        if PyUnicode_IS_COMPACT_ASCII(value):
            value_text = PyUnicode_AsUTF8AndSize(value, &value_size)
            return self._edits().put(kind, name_text, name_size, value_text, value_size)
        encoded = (<str>value).encode("latin-1")
        return self._edits().put(kind, name_text, name_size, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded))

    def __setitem__(self, name, value):
        self._alive()
        self._put(EDIT_SET, name, value)

    def add(self, name, value):
        """One more field beside those of the same name."""
        self._alive()
        self._put(EDIT_ADD, name, value)

    def __delitem__(self, name):
        self._alive()
        self._put(EDIT_REMOVE, name, "")

    def __getitem__(self, name):
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name):
        return self.get(name) is not None

    def __iter__(self):
        return iter([name for name, value in self.items()])

    def __len__(self):
        return len(self.items())

    def __repr__(self):
        return "<Headers, over>" if self.exchange is None else f"<Headers {self.items()!r}>"


cdef class Request:
    """The request of one exchange, as a filter sees it."""

    cdef ExchangeState _alive(self):
        if self.exchange is None:
            raise RuntimeError(OVER)
        return self.exchange

    @property
    def method(self):
        cdef ExchangeState x = self._alive()
        return _text(x.raw.at, &x.request.method_text)

    @property
    def path(self):
        """The canonical path: what was routed and what is sent, unless the route rewrites it. Still percent-encoded."""
        cdef ExchangeState x = self._alive()
        if x.path_is_own:
            return PyUnicode_DecodeLatin1(x.path.at, x.path.size, NULL)
        return _text(x.raw.at, &x.request.path)

    @property
    def target(self):
        """The request target as the client sent it."""
        cdef ExchangeState x = self._alive()
        return _text(x.raw.at, &x.request.target)

    @property
    def query_string(self):
        """What follows the "?", as it came; "" when there is none."""
        cdef ExchangeState x = self._alive()
        return _text(x.raw.at, &x.request.query)

    def query(self, str name not None, default=None):
        """The first value of a query parameter, decoded as a form would be ("+" is a space); ``default`` when absent."""
        cdef ExchangeState x = self._alive()
        cdef bytes wanted = name.encode()
        cdef Span value
        if not query_value(
            x.raw.at + x.request.query.start, x.request.query.size, PyBytes_AS_STRING(wanted), PyBytes_GET_SIZE(wanted),
            &value,
        ):
            return default
        raw = PyBytes_FromStringAndSize(x.raw.at + x.request.query.start + value.start, value.size)
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8", "replace")

    def cookie(self, str name not None, default=None):
        """The first value of a cookie, as it came; ``default`` when absent."""
        cdef bytes wanted = name.encode()
        cdef bytes line
        cdef Span value
        self._alive()
        for known in self.headers.get_all("cookie"):
            line = known.encode("latin-1")
            if cookie_value(
                PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line), PyBytes_AS_STRING(wanted), PyBytes_GET_SIZE(wanted), &value
            ):
                return line[value.start:value.start + value.size].decode("latin-1")
        return default

    @property
    def host(self):
        """Host and port as the client named them, without the port if it named none."""
        cdef ExchangeState x = self._alive()
        return _text(x.raw.at, &x.request.host)

    @property
    def scheme(self):
        """"http" or "https": how the client came; behind a trusted proxy, how it says the client came to it."""
        cdef ExchangeState x = self._alive()
        cdef const Field* field
        cdef int i
        if x.client.is_trusted:
            for i in range(x.request.n_fields - 1, -1, -1):     # the last line is the one that is sent on
                field = &x.request.fields[i]
                if field.id == FIELD_X_FORWARDED_PROTO and not field.flags & FIELD_HAS_UNDERSCORE:
                    if same_name(x.raw.at + field.value.start, field.value.size, b"https", 5):
                        return "https"
                    if same_name(x.raw.at + field.value.start, field.value.size, b"http", 4):
                        return "http"
        return "https" if x.client.is_tls else "http"

    @property
    def http_version(self):
        return "1.1" if self._alive().request.minor else "1.0"

    @property
    def client_ip(self):
        """The address of the client; behind a trusted proxy, the one it vouches for."""
        return client_address(self._alive()).decode("latin-1")

    @property
    def id(self):
        """The request id that goes to the upstream and into the log."""
        cdef ExchangeState x = self._alive()
        return PyUnicode_DecodeLatin1(x.request_id, x.request_id_size, NULL)

    @property
    def route(self):
        """The name of the route."""
        return self._alive().route.name

    @property
    def captures(self):
        """What the path pattern captured, by name."""
        cdef ExchangeState x = self._alive()
        cdef const char* path = x.path.at if x.path_is_own else x.raw.at + x.request.path.start
        names = x.match.capture_names
        return {names[i]: _text(path, &x.captures.spans[i]) for i in range(min(x.captures.n, len(names)))}

    @property
    def upstream(self):
        """The name of the upstream that the request will go to, or None. May be set to another until it is sent."""
        cdef ExchangeState x = self._alive()
        return None if x.destination is None else x.destination.upstream.name

    @upstream.setter
    def upstream(self, str name not None):
        cdef ExchangeState x = self._alive()
        if x.stage > WAITING or x.waits_for > FILTER or x.status != 0:
            raise RuntimeError("the request is on its way already; the upstream is chosen in on_request")
        if name not in x.plan.destinations:
            raise ValueError(f"no upstream is named {name}; there are {', '.join(sorted(x.plan.destinations))}")
        x.destination = x.plan.destinations[name]

    @property
    def auth(self):
        """Whom the request is from, as its key says: ``subject``, ``tenant``, ``tier`` and ``priority``; nobody, with empty
        texts, on a route without ``auth``. A filter that finds out sets it in on_request: the limits that are charged after
        the filters know their keys by it."""
        cdef ExchangeState x = self._alive()
        return NOBODY if x.identity is None else x.identity

    @auth.setter
    def auth(self, Identity identity not None):
        cdef ExchangeState x = self._alive()
        if x.stage > WAITING or x.waits_for > FILTER or x.status != 0:
            raise RuntimeError("the request is on its way already; whom it is from is found out in on_request")
        x.identity = identity

    @property
    def limits(self):
        """The limits of the configuration, as they stand for this request: ``peek`` and ``cost``."""
        return limits_of(self._alive())

    @property
    def store(self):
        """A dict of the exchange: what one phase or filter leaves for another."""
        cdef ExchangeState x = self._alive()
        if x.store is None:
            x.store = {}
        return x.store

    @property
    def log(self):
        """Fields of one's own in the access log line: ``request.log["tenant"] = "acme"``; anything JSON can hold."""
        cdef ExchangeState x = self._alive()
        if x.log_fields is None:
            x.log_fields = {}
        return x.log_fields

    def __repr__(self):
        if self.exchange is None:
            return "<Request, over>"
        return f"<Request {self.method} {self.path} on {self.route}>"


cdef class ResponseHead:
    """The head of an answer on its way to the client, whoever made it: ``status`` and ``headers`` may be changed."""

    cdef ExchangeState _alive(self):
        if self.exchange is None:
            raise RuntimeError(OVER)
        return self.exchange

    @property
    def status(self):
        return self._alive().status

    @status.setter
    def status(self, int status):
        cdef ExchangeState x = self._alive()
        if not 200 <= status <= 599 or (status in (204, 304)) != (x.status in (204, 304)):
            raise ValueError(f"status {x.status} cannot become {status}: a final answer stays one, with or without a body")
        x.status = status

    @property
    def is_local(self):
        """Whether the gateway or a filter made this answer, and not the upstream."""
        return self._alive().is_local

    def __repr__(self):
        return "<ResponseHead, over>" if self.exchange is None else f"<ResponseHead {self.status}>"


cdef class Response:
    """An answer that a filter makes. It does not change, so that one may be made once and given again and again.

    status: 200 to 599. body: bytes, or str that is sent as UTF-8. headers: names to values, a list where a field is to occur
    several times (Set-Cookie); Content-Length and what belongs to the connection is the gateway's. Raises TypeError and
    ValueError for what cannot stand in a head.
    """

    def __init__(self, int status=200, body=b"", headers=None):
        if not 200 <= status <= 599:
            raise ValueError(f"an answer has a status from 200 to 599, not {status}")
        fields = dict(headers or {})
        if isinstance(body, str):
            body = body.encode()
            fields = _with_type(fields, "text/plain; charset=utf-8")
        if type(body) is not bytes:
            raise TypeError(f"the body of an answer is bytes or str, not {type(body).__name__}")
        if body and status in (204, 304):
            raise ValueError(f"an answer with status {status} has no body")
        self.status = status
        self.body = body
        self.headers = MappingProxyType(fields)
        self.head = _rendered(status, fields, len(body))

    @staticmethod
    def json(value, int status=200, headers=None):
        """``value`` as JSON."""
        return Response(status, msgspec.json.encode(value), _with_type(headers, "application/json"))

    @staticmethod
    def redirect(str to not None, int status=302):
        """Sends the client to ``to``; what is not ASCII in it is percent-encoded."""
        if not 300 <= status <= 399 or status == 304:
            raise ValueError(f"a redirect has a status from 300 to 399 (304 is none), not {status}")
        return Response(status, b"", {"Location": to if to.isascii() else quote(to, safe=_URI)})

    @staticmethod
    def problem(int status, str title not None, detail=None, type="about:blank", headers=None, **members):
        """Problem details (RFC 9457)."""
        body = {"type": type, "title": title, "status": status}
        if detail is not None:
            body["detail"] = detail
        body.update(members)
        return Response(status, msgspec.json.encode(body), _with_type(headers, "application/problem+json"))

    def __repr__(self):
        return f"<Response {self.status}, {len(self.body)} bytes>"


# Everything a URI may hold (RFC 3986, section 2), "%" included: what is encoded already stays as it is.
cdef str _URI = ":/?#[]@!$&'()*+,;=%-._~"


cdef dict _with_type(headers, str content_type):
    cdef dict fields = dict(headers or {})
    if not any(type(name) is str and name.lower() == "content-type" for name in fields):
        fields["Content-Type"] = content_type
    return fields


cdef bytes _rendered(int status, dict fields, Py_ssize_t body_size):
    """The head as an upstream would have sent it, so that every answer goes the same way."""
    cdef bytes name, value
    cdef list lines = [b"HTTP/1.1 %d %b\r\n" % (status, REASONS.get(status, "").encode())]
    for key, values in fields.items():
        if type(key) is not str:
            raise TypeError(f"names of header fields are str, not {type(key).__name__}")
        name = key.encode("latin-1")
        if not is_token(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name)):
            raise ValueError(f"{key!r} is not the name of a header field")
        if (OURS >> field_id(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))) & 1:
            continue
        for text in (values,) if type(values) is str else values:
            if type(text) is not str:
                raise TypeError(f"the value of {key} is a str or a list of them, not {type(text).__name__}")
            value = text.encode("latin-1").strip(b" \t")
            if not is_field_value(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)):
                raise ValueError(f"the value of {key} has control characters")
            lines.append(b"%b: %b\r\n" % (name, value))
    if status not in (204, 304):
        lines.append(b"Content-Length: %d\r\n" % body_size)
    lines.append(b"\r\n")
    head = b"".join(lines)
    if len(head) > ANSWER_HEAD_MAX or len(lines) > ANSWER_FIELDS_MAX:
        raise ValueError(
            f"the head of an answer has at most {ANSWER_FIELDS_MAX} fields and {ANSWER_HEAD_MAX} bytes, "
            f"not {len(lines)} and {len(head)}"
        )
    return head


cdef Request request_view(ExchangeState exchange):
    cdef Request view = exchange.request_view
    if view is None:
        view = Request.__new__(Request)
        view.headers = Headers.__new__(Headers)
        exchange.request_view = view
    if view.exchange is None:
        view.exchange = exchange
        view.headers.exchange = exchange
    return view


cdef ResponseHead response_view(ExchangeState exchange):
    cdef ResponseHead view = exchange.response_view
    if view is None:
        view = ResponseHead.__new__(ResponseHead)
        view.headers = Headers.__new__(Headers)
        view.headers.is_response = True
        exchange.response_view = view
    if view.exchange is None:
        view.exchange = exchange
        view.headers.exchange = exchange
    return view


cdef void cut_off(ExchangeState exchange):
    # Of each, one reference is its owner's and one the variable's here: more, and a filter has kept it. Headers are taken into
    # a variable first, for Cython may hold an attribute once more while it calls.
    cdef Request request = exchange.request_view
    cdef ResponseHead response = exchange.response_view
    cdef Headers headers
    if request is not None:
        headers = request.headers
        request.exchange = None
        headers.exchange = None
        if Py_REFCNT(request) > 2 or Py_REFCNT(headers) > 2:
            exchange.request_view = None
    if response is not None:
        headers = response.headers
        response.exchange = None
        headers.exchange = None
        if Py_REFCNT(response) > 2 or Py_REFCNT(headers) > 2:
            exchange.response_view = None
