"""A body of problem details of which only the request's id is not known beforehand: three pieces put together.

Of a refusal, which has to be cheap, encoding the same text each time was a tenth of the cost.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

import msgspec

cdef bytes MARK = b"\\u0001"      # as JSON spells it; no text of ours has it


cdef inline bint _is_plain(const char* id, size_t size) noexcept nogil:
    """Whether it is in JSON what it is here: as those that the gateway makes are."""
    cdef size_t i
    for i in range(size):
        if not (c"0" <= id[i] <= c"9" or c"a" <= (id[i] | 0x20) <= c"z" or id[i] == c"-" or id[i] == c"_"):
            return False
    return True


cdef class ProblemBody:
    """members: of the object, without ``request_id``, which comes last."""

    def __init__(self, dict members not None):
        encoded = msgspec.json.encode({**members, "request_id": "\1"})
        self.before, _, self.after = encoded.rpartition(MARK)

    cdef bytes with_id(self, const char* id, size_t size):
        cdef size_t before = PyBytes_GET_SIZE(self.before), after = PyBytes_GET_SIZE(self.after)
        cdef bytes body
        cdef char* at
        if not _is_plain(id, size):
            return self.before + msgspec.json.encode(id[:size].decode("latin-1"))[1:-1] + self.after
        body = PyBytes_FromStringAndSize(NULL, before + size + after)
        at = PyBytes_AS_STRING(body)
        memcpy(at, PyBytes_AS_STRING(self.before), before)
        memcpy(at + before, id, size)
        memcpy(at + before + size, PyBytes_AS_STRING(self.after), after)
        return body

    def made(self, bytes request_id not None) -> bytes:
        """The body for a request of that id; for tests."""
        return self.with_id(PyBytes_AS_STRING(request_id), PyBytes_GET_SIZE(request_id))
