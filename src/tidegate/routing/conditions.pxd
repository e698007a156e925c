"""What a route asks of headers and query parameters.

Header names are compared by ``same_name``; parameters percent-decoded, with "+" for a space. Where a
name comes several times, one value that fits is enough, and "absent" means none at all.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t

from tidegate.wire.http1 cimport RequestHead

cdef enum ConditionKind:
    EQUAL = 0
    REGEX
    PRESENT
    ABSENT

cdef struct Condition:
    const char* name
    const char* text
    PyObject* search            # of REGEX: takes bytes, None when it does not match
    uint32_t name_size
    uint32_t text_size
    uint8_t kind
    uint8_t is_query

cdef class Conditions:
    cdef Condition* conditions
    cdef int n
    cdef list kept              # what the pointers point into

    # 1 when all hold, 0 when not; raises what a regex raises. Without a regex no Python object is made.
    cdef int fit(self, const char* buf, const RequestHead* head) except -1
