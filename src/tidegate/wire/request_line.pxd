"""The first line of a request: method, target, version."""

from libc.stdint cimport uint8_t, uint32_t

from tidegate.wire.http1 cimport HeadLimits, RequestHead

cdef enum Progress:             # of a head, in ``started``; the middle two only while the line is not complete
    BEFORE_LINE = 0
    IN_TARGET
    BEHIND_TARGET
    IN_FIELDS
    FINISHED

cdef uint8_t method_id(const char* text, size_t size) noexcept nogil
# Minor version plus one of "HTTP/1.0" or "HTTP/1.1", or a negated Refusal: ``otherwise`` when it is no version at all.
cdef int version_number(const char* p, const char* end, int otherwise) noexcept nogil
# DONE (and head.at behind the line), INCOMPLETE, or a negated Refusal.
cdef int read_request_line(const char* buf, uint32_t at, const char* end, const HeadLimits* limits,
                           RequestHead* head) noexcept nogil
# What may be said of a request line that is not complete: a first byte no method has, a target over its limit.
cdef int glance_request_line(const char* buf, uint32_t at, const char* end, const HeadLimits* limits,
                             RequestHead* head) noexcept nogil
