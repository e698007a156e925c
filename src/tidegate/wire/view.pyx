"""What the codec sees, as plain Python values. For tests and measurements; nothing in a worker imports it."""

from libc.stdlib cimport free, malloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tidegate.wire.http1 cimport *
from tidegate.wire.target cimport *

cdef tuple FRAMINGS = ("none", "length", "chunked", "close", "tunnel")
cdef tuple FORMS = ("origin", "absolute", "asterisk")
cdef dict FLAGS = {
    "keep_alive": HEAD_KEEP_ALIVE,
    "upgrade": HEAD_UPGRADE,
    "expect_continue": HEAD_EXPECT_CONTINUE,
    "te_trailers": HEAD_TE_TRAILERS,
    "connection_names": HEAD_CONNECTION_NAMES,
    "has_underscore": HEAD_HAS_UNDERSCORE,
    "connection_close": HEAD_CONNECTION_CLOSE,
}
REFUSALS = {refusal_name(i).decode(): refusal_status(i) for i in range(1, REFUSAL_COUNT)}


class RefusalError(ValueError):
    """A codec refused its input: ``name`` and ``status`` say why and what answers it."""

    def __init__(self, int refusal):
        self.name = refusal_name(refusal).decode()
        self.status = refusal_status(refusal)
        super().__init__(self.name)


cdef bytes cut(const uint8_t[::1] data, Span span):
    return bytes(data[span.start:span.start + span.size]) if span.size else b""


cdef list fields_of(const uint8_t[::1] data, Field* fields, int count):
    cdef int i
    return [
        (cut(data, fields[i].name), cut(data, fields[i].value), fields[i].id, fields[i].flags) for i in range(count)
    ]


cdef frozenset names_of(uint32_t flags):
    return frozenset(name for name, bit in FLAGS.items() if flags & bit)


cdef class _HeadParser:
    """Grows a buffer and asks the parser again, as a connection does."""

    cdef bytearray _data
    cdef HeadLimits _limits

    def __init__(self, *, int head_bytes=65536, int target_bytes=8192, int fields=100):
        self._data = bytearray()
        self._limits.head_bytes = head_bytes
        self._limits.target_bytes = target_bytes
        self._limits.fields = fields

    @property
    def rest(self):
        """Bytes fed that stand behind the head."""
        return bytes(self._data[self._size():])


cdef class RequestParser(_HeadParser):
    cdef RequestHead _head

    def __cinit__(self):
        reset_request_head(&self._head)

    cpdef int _size(self):
        return self._head.size

    def feed(self, data):
        """Takes more bytes; the request as a dict once its head is complete, until then None; raises RefusalError."""
        self._data += data
        cdef const uint8_t[::1] view = bytes(self._data) or b"\0"
        cdef int verdict = parse_request_head(<const char*>&view[0], len(self._data), &self._limits, &self._head)
        if verdict < 0:
            raise RefusalError(verdict)
        if verdict == NEED_MORE:
            return None
        cdef RequestHead* head = &self._head
        return {
            "method": cut(view, head.method_text),
            "method_id": head.method,
            "target": cut(view, head.target),
            "form": FORMS[head.target_form],
            "path": cut(view, head.path),
            "query": cut(view, head.query) if head.query.start else None,
            "host": cut(view, head.host),
            "minor": head.minor,
            "framing": FRAMINGS[head.framing],
            "length": head.content_length,
            "flags": names_of(head.flags),
            "seen": head.seen,
            "upgrade": cut(view, head.upgrade),
            "fields": fields_of(view, head.fields, head.n_fields),
            "size": head.size,
        }


cdef class ResponseParser(_HeadParser):
    cdef ResponseHead _head
    cdef uint8_t _to_method

    def __cinit__(self, *, bint to_head=False, **limits):
        self._to_method = METHOD_HEAD if to_head else METHOD_GET
        reset_response_head(&self._head)

    def __init__(self, *, bint to_head=False, **limits):
        super().__init__(**limits)

    cpdef int _size(self):
        return self._head.size

    def feed(self, data):
        """Takes more bytes; the response as a dict once its head is complete, until then None; raises RefusalError."""
        self._data += data
        cdef const uint8_t[::1] view = bytes(self._data) or b"\0"
        cdef int verdict = parse_response_head(
            <const char*>&view[0], len(self._data), &self._limits, self._to_method, &self._head
        )
        if verdict < 0:
            raise RefusalError(verdict)
        if verdict == NEED_MORE:
            return None
        cdef ResponseHead* head = &self._head
        return {
            "status": head.status,
            "reason": cut(view, head.reason),
            "minor": head.minor,
            "framing": FRAMINGS[head.framing],
            "length": head.content_length,
            "flags": names_of(head.flags),
            "seen": head.seen,
            "upgrade": cut(view, head.upgrade),
            "fields": fields_of(view, head.fields, head.n_fields),
            "size": head.size,
        }


cdef class ChunkedParser:
    cdef ChunkedDecoder _decoder
    cdef readonly bint done
    cdef readonly bytes rest

    def __cinit__(self):
        reset_chunked(&self._decoder)
        self.rest = b""

    def feed(self, bytes data):
        """Takes more bytes and returns the body bytes in them; ``done`` and ``rest`` after the end; raises RefusalError."""
        cdef const char* p = data
        cdef size_t size = len(data)
        cdef size_t at = 0
        cdef size_t consumed
        cdef Span run
        cdef int verdict
        body = []
        while at < size and not self.done:
            verdict = feed_chunked(&self._decoder, p + at, size - at, &consumed, &run)
            if verdict < 0:
                raise RefusalError(verdict)
            body.append(data[at + run.start:at + run.start + run.size])
            at += consumed
            self.done = verdict == COMPLETE
        self.rest += data[at:]
        return b"".join(body)


def field_identity(bytes name):
    return field_id(name, len(name))


def names_equal(bytes a, bytes b):
    return bool(same_name(a, len(a), b, len(b)))


def hash_name(bytes name):
    return name_hash(name, len(name))


def token(bytes text):
    return bool(is_token(text, len(text)))


def field_value(bytes text):
    return bool(is_field_value(text, len(text)))


class PathRefusalError(ValueError):
    """A path has no canonical form: ``name`` says why."""

    def __init__(self, int refusal):
        self.name = path_refusal_name(refusal).decode()
        super().__init__(self.name)


PATH_REFUSALS = {path_refusal_name(i).decode() for i in range(1, PATH_NOT_ABSOLUTE + 1)}
PATH_ALLOW = {
    "encoded_slash": PATH_ALLOW_ENCODED_SLASH,
    "encoded_backslash": PATH_ALLOW_ENCODED_BACKSLASH,
    "encoded_nul": PATH_ALLOW_ENCODED_NUL,
    "high_bytes": PATH_ALLOW_HIGH_BYTES,
    "backslash": PATH_ALLOW_BACKSLASH,
}


def path_is_canonical(bytes path):
    return bool(is_canonical(path, len(path)))


def path_canonical(bytes path, int allow=0):
    """The canonical form; raises PathRefusalError. Memory is exactly what is promised, for the sanitizers."""
    cdef char* out = <char*>malloc(len(path) or 1)
    if out == NULL:
        raise MemoryError
    cdef int size = canonical_path(path, len(path), allow, out)
    try:
        if size < 0:
            raise PathRefusalError(size)
        return out[:size]
    finally:
        free(out)


def query_parameter(bytes query, bytes name):
    cdef Span span
    return cut(query, span) if query_value(query, len(query), name, len(name), &span) else None


def cookie(bytes text, bytes name):
    cdef Span span
    return cut(text, span) if cookie_value(text, len(text), name, len(name), &span) else None


cdef HeadLimits _measured_limits():
    return HeadLimits(head_bytes=1 << 20, target_bytes=1 << 20, fields=FIELDS_MAX)


def parse_request_times(bytes data, int times, size_t step=0):
    """Parses one head again and again, ``step`` bytes more at each call (0: whole); whoever calls takes the time."""
    cdef RequestHead head
    cdef HeadLimits limits = _measured_limits()
    cdef const char* p = data
    cdef size_t size = len(data)
    cdef size_t fed
    cdef int verdict = NEED_MORE
    with nogil:
        for _ in range(times):
            reset_request_head(&head)
            fed = step
            while step and fed < size and parse_request_head(p, fed, &limits, &head) == NEED_MORE:
                fed += step
            verdict = parse_request_head(p, size, &limits, &head)
    if verdict != COMPLETE:
        raise RefusalError(verdict)


def parse_response_times(bytes data, int times):
    cdef ResponseHead head
    cdef HeadLimits limits = _measured_limits()
    cdef const char* p = data
    cdef size_t size = len(data)
    cdef int verdict = NEED_MORE
    with nogil:
        for _ in range(times):
            reset_response_head(&head)
            verdict = parse_response_head(p, size, &limits, METHOD_GET, &head)
    if verdict != COMPLETE:
        raise RefusalError(verdict)


def feed_chunked_times(bytes data, int times):
    cdef ChunkedDecoder decoder
    cdef const char* p = data
    cdef size_t size = len(data)
    cdef size_t at
    cdef size_t consumed
    cdef Span run
    cdef int verdict = NEED_MORE
    with nogil:
        for _ in range(times):
            reset_chunked(&decoder)
            at = 0
            verdict = NEED_MORE
            while verdict == NEED_MORE and at < size:
                verdict = feed_chunked(&decoder, p + at, size - at, &consumed, &run)
                at += consumed
    if verdict != COMPLETE:
        raise RefusalError(verdict)


def canonical_path_times(bytes path, int times):
    cdef char out[4096]
    cdef const char* p = path
    cdef size_t size = min(len(path), 4096)
    cdef int written = 0
    with nogil:
        for _ in range(times):
            if not is_canonical(p, size):
                written = canonical_path(p, size, 0, out)
    if written < 0:
        raise PathRefusalError(written)
