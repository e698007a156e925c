"""What a request carries under a name: the first field, cookie or query parameter of it, where it stands."""

from libc.stddef cimport size_t

from tidegate.wire.http1 cimport RequestHead, Span

# Whether it is there; ``value`` is then relative to ``raw``, where the head was parsed. Names of fields are compared as
# ``same_name`` does, those of cookies and parameters exactly.
cdef bint field_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil
cdef bint cookie_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil
cdef bint parameter_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil
