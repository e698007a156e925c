"""What an exchange teaches the adaptive limits that it was let in by.

A sample is the upstream's time alone: from when the exchange had its permits and its endpoint, waiting for a connection
included, to the head of the answer. How long a client takes to send its request is taken off; an answer that came before
the request was whole tells nothing. Nor does what was answered here, what the client gave up, or what broke off: an
upstream that is not there has not too much to do.

Too much to do is what a time-out means, before a connection or behind it, a full listen queue or pool, and the statuses
that the limit has for it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.stdint cimport int64_t
from libc.string cimport memchr

from tidegate.exchange.state cimport ExchangeState
from tidegate.limits.group cimport Group
from tidegate.limits.limit cimport HELD, Limit, Member
from tidegate.wire.http1 cimport Field, same_name

from tidegate.errors import Kind

cdef int64_t MILLISECOND_NS = 1000000
cdef int64_t LONGEST_MS = 3600000       # what is said to be more is no time that a request waited
cdef object OVERLOAD = frozenset({Kind.CONNECTION_TIMEOUT, Kind.CONNECTION_READ_TIMEOUT, Kind.CONNECTION_LIMIT_REACHED})


cdef void begin_lesson(ExchangeState x, Group group, Member* members) noexcept:
    cdef Limit limit
    cdef int i
    x.learns = True
    for i in range(group.count):
        limit = <Limit>group.limits[i]
        if limit.learner is not None and members[i].standing == HELD:
            limit.begin_lesson(&members[i], x.context.reactor.now_ns)


cdef void hear_waiting(ExchangeState x, Group group, Member* members) noexcept:
    cdef Limit limit
    cdef bytes name
    cdef int i
    if group is None:
        return
    for i in range(group.count):
        limit = <Limit>group.limits[i]
        if members[i].began_ns != 0 and limit.learner.reports_waiting:
            members[i].waiting_ns = _waiting_in(x, limit.learner.waiting_field)


cdef void teach(ExchangeState x, Group group, Member* members, object kind) noexcept:
    cdef Limit limit
    cdef int64_t latency_ns
    cdef bint was_dropped = kind is not None and _is_overload(x, kind)
    cdef bint says_so
    cdef int64_t waiting_ns
    cdef int i
    for i in range(group.count):
        if members[i].began_ns == 0:
            continue
        limit = <Limit>group.limits[i]
        latency_ns = _latency_ns(x, members[i].began_ns)
        says_so = was_dropped or (x.answered_ns != 0 and limit.learner.is_overload(x.upstream_status))
        if says_so or latency_ns > 0:
            waiting_ns = members[i].waiting_ns
            if waiting_ns >= 0:
                waiting_ns += x.pool_waited_ns
            limit.learner.observe(
                members[i].learns_in, members[i].fingerprint, members[i].began_ns, max(latency_ns, 1),
                members[i].in_flight, says_so, waiting_ns,
            )
        members[i].began_ns = 0


cdef int64_t _latency_ns(ExchangeState x, int64_t began_ns) noexcept:
    """What the upstream took since then; 0: that is not known."""
    cdef int64_t connecting_ns, working_ns
    if x.answered_ns == 0 or x.sent_ns == 0 or not x.request_sent or x.handed_ns > x.answered_ns:
        return 0
    connecting_ns = <int64_t>x.sent_ns - began_ns
    working_ns = <int64_t>(x.answered_ns - max(x.sent_ns, x.handed_ns))
    return max(connecting_ns + working_ns, 1)


cdef bint _is_overload(ExchangeState x, object kind) noexcept:
    if kind == Kind.HTTP_RESPONSE_TIMEOUT:
        # The upstream had it whole and kept silent, or its time was over before it got as far as a connection.
        return x.endpoint_failed or (x.is_out_of_time and x.sent_ns == 0)
    return kind in OVERLOAD


cdef int64_t _waiting_in(ExchangeState x, bytes name) noexcept:
    """What the answer says that the request waited; -1: nothing, or nothing that makes sense."""
    cdef const Field* field
    cdef const char* wanted = PyBytes_AS_STRING(name)
    cdef size_t size = PyBytes_GET_SIZE(name)
    cdef int i
    for i in range(x.response.n_fields):
        field = &x.response.fields[i]
        if field.name.size == size and same_name(x.response_at + field.name.start, size, wanted, size):
            return _waiting_ns(wanted, size, x.response_at + field.value.start, field.value.size)
    return -1


cdef int64_t _waiting_ns(const char* name, size_t name_size, const char* value, size_t size) noexcept nogil:
    if name_size == 13 and same_name(name, 13, b"server-timing", 13):
        return _queue_of(value, size)
    return _milliseconds(value, size)


cdef int64_t _milliseconds(const char* text, size_t size) noexcept nogil:
    """A decimal number of milliseconds in nanoseconds; -1: it is none."""
    cdef int64_t whole = 0, rest = 0, unit = MILLISECOND_NS
    cdef size_t i = 0
    while i < size and c"0" <= text[i] <= c"9":
        whole = 10 * whole + (text[i] - c"0")
        if whole > LONGEST_MS:
            return -1
        i += 1
    if i == 0:
        return -1
    if i < size and text[i] == c".":
        i += 1
        while i < size and c"0" <= text[i] <= c"9":
            unit //= 10
            rest += unit * (text[i] - c"0")
            i += 1
    return whole * MILLISECOND_NS + rest if i == size else -1


cdef int64_t _queue_of(const char* text, size_t size) noexcept nogil:
    """The duration of the metric ``queue`` in a Server-Timing field (W3C): ``app;dur=47.2, queue;dur=3``; -1: none."""
    cdef const char* end = text + size
    cdef const char* metric_end
    cdef const char* part
    cdef const char* part_end
    cdef bint is_queue
    while text < end:
        metric_end = _until(text, end, c",")
        part = text
        is_queue = False
        while part < metric_end:
            part_end = _until(part, metric_end, c";")
            while part < part_end and part[0] in (c" ", c"\t"):
                part += 1
            size = part_end - part
            while size != 0 and part[size - 1] in (c" ", c"\t"):
                size -= 1
            if size == 5 and same_name(part, 5, b"queue", 5):
                is_queue = True
            elif is_queue and size > 4 and same_name(part, 4, b"dur=", 4):
                return _milliseconds(part + 4, size - 4)
            part = part_end + 1
        text = metric_end + 1
    return -1


cdef inline const char* _until(const char* text, const char* end, char what) noexcept nogil:
    cdef const char* found = <const char*>memchr(text, what, end - text)
    return end if found == NULL else found


def read_waiting(bytes name not None, bytes value not None):
    """What a field of that name says, in nanoseconds; None: nothing. For tests."""
    cdef bytes lower = name.lower()
    cdef int64_t waiting_ns = _waiting_ns(
        PyBytes_AS_STRING(lower), PyBytes_GET_SIZE(lower), PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)
    )
    return None if waiting_ns < 0 else waiting_ns
