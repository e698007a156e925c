"""Conditions on headers and query, see ``conditions.pxd``. A head's fields and query are gone through once for each."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcmp

from tidegate.wire.http1 cimport Field, RequestHead
from tidegate.wire.names cimport same_name

from tidegate.config.patterns import parse_value
from tidegate.routing.regex import compile_regex

KINDS = {"equal": EQUAL, "regex": REGEX, "present": PRESENT, "absent": ABSENT}


cdef inline int hex_value(uint8_t c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    c |= 32
    return c - 87 if 97 <= c <= 102 else -1


cdef inline uint8_t decoded_at(const char* text, size_t size, size_t* at) noexcept nogil:
    # One byte of a form-urlencoded text, and on past it; a "%" that begins no encoding stands for itself.
    cdef uint8_t c = <uint8_t>text[at[0]]
    cdef int high, low
    if c == 37 and size - at[0] > 2:
        high = hex_value(<uint8_t>text[at[0] + 1])
        low = hex_value(<uint8_t>text[at[0] + 2])
        if high >= 0 and low >= 0:
            at[0] += 3
            return <uint8_t>(high * 16 + low)
    at[0] += 1
    return 32 if c == 43 else c


cdef bint decodes_to(const char* text, size_t size, const char* wanted, size_t wanted_size) noexcept nogil:
    cdef size_t at = 0, i = 0
    if size < wanted_size:
        return False
    while at < size:
        if i == wanted_size or decoded_at(text, size, &at) != <uint8_t>wanted[i]:
            return False
        i += 1
    return i == wanted_size


cdef bytes decoded(const char* text, size_t size):
    cdef bytes result = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>size)
    cdef char* out = PyBytes_AS_STRING(result)
    cdef size_t at = 0, n = 0
    while at < size:
        out[n] = <char>decoded_at(text, size, &at)
        n += 1
    return result[:n]


cdef int field_fits(const Condition* condition, const char* buf, const RequestHead* head) except -1:
    cdef int i
    cdef const Field* field
    for i in range(head.n_fields):
        field = &head.fields[i]
        if (field.name.size != condition.name_size
                or not same_name(buf + field.name.start, field.name.size, condition.name, condition.name_size)):
            continue
        if condition.kind == EQUAL:
            if (field.value.size == condition.text_size
                    and memcmp(buf + field.value.start, condition.text, condition.text_size) == 0):
                return 1
        elif condition.kind == REGEX:
            value = PyBytes_FromStringAndSize(buf + field.value.start, field.value.size)
            if (<object>condition.search)(value) is not None:
                return 1
        else:
            return condition.kind == PRESENT
    return condition.kind == ABSENT


cdef int parameter_fits(const Condition* condition, const char* query, size_t size) except -1:
    cdef const char* end = query + size
    cdef const char* stop
    cdef const char* equals
    cdef const char* value
    while query < end:
        stop = <const char*>memchr(query, 38, end - query)      # "&"
        if stop == NULL:
            stop = end
        equals = <const char*>memchr(query, 61, stop - query)   # "="
        if equals == NULL:
            equals = stop
        value = equals if equals == stop else equals + 1
        if stop > query and decodes_to(query, equals - query, condition.name, condition.name_size):
            if condition.kind == EQUAL:
                if decodes_to(value, stop - value, condition.text, condition.text_size):
                    return 1
            elif condition.kind == REGEX:
                if (<object>condition.search)(decoded(value, stop - value)) is not None:
                    return 1
            else:
                return condition.kind == PRESENT
        query = stop + 1 if stop < end else end
    return condition.kind == ABSENT


cdef class Conditions:
    """What a route asks of headers and query parameters; asked by compiled code.

    Args:
        headers: name to value, ``~regex``, True (there) or False (not there).
        query: parameter to the same.

    Raises ValueError for a regex that RE2 does not take.
    """

    def __init__(self, headers, query):
        cdef Condition* condition
        cdef bytes name, text
        if self.kept is not None:
            raise RuntimeError("conditions are built once")
        self.kept = []
        self.conditions = <Condition*>PyMem_RawCalloc(len(headers) + len(query) or 1, sizeof(Condition))
        if self.conditions == NULL:
            raise MemoryError
        for is_query, asked in ((False, headers), (True, query)):
            for spelt, value in asked.items():
                pattern = parse_value(value)
                name = spelt.encode()
                text = pattern.text.encode()
                condition = &self.conditions[self.n]
                condition.name = PyBytes_AS_STRING(name)
                condition.name_size = len(name)
                condition.text = PyBytes_AS_STRING(text)
                condition.text_size = len(text)
                condition.kind = KINDS[pattern.kind]
                condition.is_query = is_query
                self.kept += (name, text)
                if condition.kind == REGEX:
                    search = compile_regex(pattern.text).search
                    self.kept.append(search)
                    condition.search = <PyObject*>search
                self.n += 1

    def __dealloc__(self):
        PyMem_RawFree(self.conditions)

    cdef int fit(self, const char* buf, const RequestHead* head) except -1:
        cdef int i
        cdef const Condition* condition
        for i in range(self.n):
            condition = &self.conditions[i]
            if condition.is_query:
                if not parameter_fits(condition, buf + head.query.start, head.query.size):
                    return 0
            elif not field_fits(condition, buf, head):
                return 0
        return 1
