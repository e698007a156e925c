"""Which route a request takes. Built once per snapshot, immutable after.

Exact hosts and literal path segments are hash look-ups, so that the cost does not grow with the number of routes.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.wire.http1 cimport RequestHead, Span

cdef enum:
    CAPTURES_MAX = 16

cdef class Match:
    """What a route asks of a request beyond host and path, and what it leads to."""
    cdef readonly object target             # opaque to routing: the exchange's Route
    cdef readonly str name
    cdef readonly int priority
    cdef readonly tuple capture_names       # names of template or regex captures, in order

cdef struct Captures:
    int n
    Span spans[CAPTURES_MAX]                # relative to the canonical path

cdef class Router:
    # The best match or None. ``path`` is canonical. ``method_mismatch`` is set to 1 when only the method did not fit
    # (405; ``allowed_methods`` then tells which ones would).
    cdef Match match(self, const char* buf, const RequestHead* head, const char* host, size_t host_size,
                     const char* path, size_t path_size, Captures* captures, bint* method_mismatch)
    cdef bytes allowed_methods(self, const char* buf, const RequestHead* head, const char* host, size_t host_size,
                               const char* path, size_t path_size)
