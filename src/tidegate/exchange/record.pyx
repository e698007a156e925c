"""What the access log is told of an exchange."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memset

from tidegate.exchange.context cimport Context
from tidegate.exchange.state cimport Client, ExchangeState, client_address
from tidegate.observe.access_log cimport ExchangeRecord, Text
from tidegate.wire.http1 cimport FIELD_REFERER, FIELD_USER_AGENT, Field

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef enum:
    CLIENT_CLOSED = 499         # the client left before there was an answer (nginx's number)


cdef inline Text _text(const char* at, size_t size) noexcept:
    cdef Text text
    text.at = at
    text.size = size
    return text


cdef inline Text _bytes_text(bytes value) noexcept:
    if value is None:
        return _text(NULL, 0)
    return _text(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))


cdef inline Text _str_text(str value):
    cdef Py_ssize_t size
    cdef const char* at = PyUnicode_AsUTF8AndSize(value, &size)     # kept by the object itself
    return _text(at, size)


cdef void write_record(ExchangeState x, int event):
    cdef Context context = x.context
    cdef Client client = x.client
    cdef ExchangeRecord record
    cdef const char* raw = x.raw.at
    cdef const Field* field
    cdef bytes kind = None, detail = None, extra = None
    cdef int i
    memset(&record, 0, sizeof(record))
    record.duration_ns = context.reactor.now_ns - x.began_ns
    record.started_us = context.real_us() - <long long>(record.duration_ns // 1000)
    record.upstream_ns = x.answered_ns - x.sent_ns if x.answered_ns and x.sent_ns else 0
    record.connect_ns = x.connect_ns
    record.request_bytes = x.request_bytes
    record.response_bytes = x.response_bytes
    record.downstream_serial = client.serial
    record.downstream_uses = client.uses
    record.upstream_serial = x.upstream_serial
    record.upstream_uses = x.upstream_uses
    record.status = x.status if x.status != 0 else CLIENT_CLOSED
    record.upstream_status = x.upstream_status
    record.client_port = client.port
    record.minor = x.request.minor
    record.event = event
    record.tls = client.is_tls
    record.attempts = x.attempts
    record.method = _text(raw + x.request.method_text.start, x.request.method_text.size)
    record.target = _text(raw + x.request.target.start, x.request.target.size)
    record.host = _text(raw + x.request.host.start, x.request.host.size)
    record.client = _bytes_text(client_address(x))
    record.peer_address = _bytes_text(client.address)
    if x.route is not None:
        record.route = _bytes_text(x.route.name_text)
    if x.destination is not None:
        record.upstream = _bytes_text(x.destination.text)
    if x.endpoint is not None:
        record.endpoint = _str_text(x.endpoint.peer.label)
    record.request_id = _text(x.request_id, x.request_id_size)
    for i in range(x.request.n_fields):
        field = &x.request.fields[i]
        if field.id == FIELD_USER_AGENT:
            record.user_agent = _text(raw + field.value.start, field.value.size)
        elif field.id == FIELD_REFERER:
            record.referer = _text(raw + field.value.start, field.value.size)
    if x.error_kind is not None:
        kind = (<str>x.error_kind.value).encode()
        record.error = _bytes_text(kind)
    if x.error_detail is not None:
        detail = x.error_detail.encode("utf-8", "replace")
        record.detail = _bytes_text(detail)
    record.limit = _bytes_text(x.refused_by)
    if x.log_fields is not None:
        extra = context.render_extra(x.log_fields)
        record.extra = _bytes_text(extra)
    x.plan.access_log.write(&record)
