"""What a request carries under a name: a field, cookie or query parameter, where it stands."""

from libc.stddef cimport size_t

from tidegate.wire.http1 cimport RequestHead, Span

# The first of the name. Whether it is there; ``value`` is then relative to ``raw``, where the head was parsed. Names of fields are compared as
# ``same_name`` does, those of cookies and parameters exactly.
cdef bint field_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil
cdef bint cookie_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil
cdef bint parameter_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil
# The same of one that is there once, and no more: who may repeat it could choose which of them counts.
cdef bint only_field_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil
cdef bint only_cookie_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil
cdef bint only_parameter_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil
