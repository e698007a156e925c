"""One canonical path for routing, authentication and keys (DESIGN section 12), and small readers of queries and cookies."""

from libc.stdint cimport uint32_t

from tidegate.wire.http1 cimport Span

cdef enum PathFlag:             # what ``canonical_path`` lets through; each is refused unless allowed
    PATH_ALLOW_ENCODED_SLASH = 1        # %2F stays as it is
    PATH_ALLOW_ENCODED_BACKSLASH = 2    # %5C
    PATH_ALLOW_ENCODED_NUL = 4          # %00
    PATH_ALLOW_HIGH_BYTES = 8           # raw bytes over 127
    PATH_ALLOW_BACKSLASH = 16

cdef enum PathRefusal:
    PATH_BAD_PERCENT = 1        # "%" not followed by two hex digits
    PATH_ENCODED_SLASH
    PATH_ENCODED_BACKSLASH
    PATH_ENCODED_NUL
    PATH_ENCODED_DOT_SEGMENT    # a dot segment hidden by encoding, or with ";" parameters ("/..;/")
    PATH_HIGH_BYTE
    PATH_CONTROL_BYTE
    PATH_BACKSLASH
    PATH_ABOVE_ROOT             # more ".." than segments
    PATH_NOT_ABSOLUTE

# 1 when ``canonical_path`` without flags would return the path as it is (the common case: one pass, nothing written).
cdef bint is_canonical(const char* path, size_t size) noexcept nogil
# Writes the canonical form to ``out`` (room for ``size`` bytes: it never grows). Returns its size, or a negated PathRefusal.
cdef int canonical_path(const char* path, size_t size, int allow, char* out) noexcept nogil
cdef const char* path_refusal_name(int refusal) noexcept nogil
# Value of one query parameter / one cookie: raw, first occurrence, relative to what was given; whether it is there.
# A parameter's name is compared decoded; one without "=" has an empty value at 0.
cdef bint query_value(const char* query, size_t size, const char* name, size_t name_size, Span* value) noexcept nogil
cdef bint cookie_value(const char* cookie, size_t size, const char* name, size_t name_size, Span* value) noexcept nogil
