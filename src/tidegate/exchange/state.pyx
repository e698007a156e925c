"""Everything an exchange knows.

Attributes are grouped by what they are about; all of them belong to one exchange but the buffers, which are kept when the
object is used for the next one. Nothing here decides anything.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from tidegate.wire.http1 cimport FIELD_HAS_UNDERSCORE, FIELD_X_FORWARDED_FOR

cdef enum:
    KEPT_ROOM = 16384       # a buffer that grew larger is given back when the exchange ends


cdef int reserve(Bytes* bytes, size_t room) except -1:
    """Makes room for ``room`` bytes in all; what is there stays."""
    cdef char* grown
    if room > bytes.room:
        grown = <char*>PyMem_RawRealloc(bytes.at, room + 256)
        if grown == NULL:
            raise MemoryError
        bytes.at = grown
        bytes.room = room + 256
    return 0


cdef int fill(Bytes* bytes, const char* data, size_t size) except -1:
    """Replaces what is in ``bytes``."""
    reserve(bytes, size)
    if size != 0:
        memcpy(bytes.at, data, size)    # which takes no NULL, not even for nothing
    bytes.size = size
    return 0


cdef inline void _shrink(Bytes* bytes) noexcept:
    if bytes.room > KEPT_ROOM:
        PyMem_RawFree(bytes.at)
        bytes.at = NULL
        bytes.room = 0
    bytes.size = 0


cdef class Client(Stream):

    cdef void touch(self) noexcept:
        pass

    cdef void take_snapshot(self):
        raise NotImplementedError

    cdef void exchange_routed(self):
        raise NotImplementedError

    cdef void exchange_finished(self, bint is_clean):
        raise NotImplementedError

    cdef void pump_body(self):
        raise NotImplementedError

    cdef void answer_came(self):
        raise NotImplementedError

    cdef void begin_tunnel(self):
        raise NotImplementedError


cdef class ExchangeState(Asker):

    def __dealloc__(self):
        PyMem_RawFree(self.raw.at)
        PyMem_RawFree(self.path.at)
        PyMem_RawFree(self.sent_path.at)
        PyMem_RawFree(self.raw_response.at)

    cdef void turn_came(self):
        raise NotImplementedError

    cdef void permit_came(self, int64_t row):
        raise NotImplementedError

    cdef void forget(self):
        self.client = None
        self.client_address = None
        self.plan = None
        self.match = None
        self.route = None
        self.destination = None
        self.identity = None
        self.edge = None
        self.contract = None
        self.at_endpoint = None
        self.waits_at = None
        self.has_turn = False
        self.asked_endpoint = None
        self.is_admitted = False
        self.is_paid = False
        self.is_charged = False
        self.learns = False
        self.has_queued = False
        self.queued_ns = 0
        self.lease_by_ns = 0
        self.serial = 0
        self.waiter = None
        self.refused_by = None
        self.costs = None
        self.endpoint = None
        self.holds_endpoint = False
        self.failed_endpoint = None
        self.stage = FREE
        self.waits_for = NOTHING
        _shrink(&self.raw)
        _shrink(&self.path)
        _shrink(&self.sent_path)
        _shrink(&self.raw_response)
        self.path_is_own = False
        self.has_sent_path = False
        self.captures.n = 0
        if self.request_edits is not None:
            self.request_edits.clear()
        self.request_id_size = 0
        self.body_left = 0
        self.request_bytes = 0
        self.body_bound = -1
        self.request_is_chunked_out = False
        self.request_sent = False
        self.body_done = False
        self.wants_continue = False
        self.response_at = NULL
        if self.response_edits is not None:
            self.response_edits.clear()
        self.status = 0
        self.answer_left = 0
        self.response_bytes = 0
        self.response_is_chunked_out = False
        self.ends_with_connection = False
        self.response_done = False
        self.rest = NULL
        self.rest_size = 0
        self.set_cookie = None
        self.is_out_of_time = False
        self.skips_filters = False
        self.local_body = None
        self.has_no_body_out = False
        self.is_local = False
        self.is_stream = False
        self.store = None
        self.log_fields = None
        self.task = None
        self.awaited = None
        self.step = 0
        self.is_replaced = False
        self.error_kind = None
        self.endpoint_failed = False
        self.error_detail = None
        self.attempts = 0
        self.sent_ns = 0
        self.handed_ns = 0
        self.pool_waited_ns = 0
        self.answered_ns = 0
        self.connect_ns = 0
        self.deadline_ms = 0
        self.upstream_serial = 0
        self.upstream_uses = 0
        self.upstream_status = 0
        self.went_async = False
        self.async_cause = 0


cdef bytes client_address(ExchangeState x):
    """The client's address: the last one in X-Forwarded-For that is no trusted proxy, when a trusted proxy says so."""
    cdef int i
    cdef bint goes_on = True
    if x.client_address is None:
        x.client_address = x.client.address
        if x.client.is_trusted:
            # Several lines are one list, the last line its end. (HAProxy appends a line where others lengthen the last.)
            for i in range(x.request.n_fields - 1, -1, -1):
                if x.request.fields[i].id == FIELD_X_FORWARDED_FOR and not x.request.fields[i].flags & FIELD_HAS_UNDERSCORE:
                    x.client_address = x.plan.trusted.client_of(
                        x.raw.at + x.request.fields[i].value.start, x.request.fields[i].value.size, x.client_address,
                        &goes_on,
                    )
                    if not goes_on:
                        break
    return x.client_address
