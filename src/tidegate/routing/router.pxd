"""Which route a request takes. Built once per snapshot, immutable after.

Exact hosts and literal path segments are hash look-ups, so that the cost does not grow with the number of routes.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tidegate.routing.conditions cimport Conditions
from tidegate.routing.table cimport Table
from tidegate.wire.http1 cimport RequestHead, Span

cdef enum:
    CAPTURES_MAX = 16
    SEGMENTS_MAX = 63           # of a pattern, as in spec.py

cdef class Match:
    """What a route asks of a request beyond host and path, and what it leads to."""
    cdef readonly object target             # opaque to routing: the exchange's Route
    cdef readonly str name
    cdef readonly int priority
    cdef readonly tuple capture_names       # names of template or regex captures, in order; "*" for the rest
    # private to the router
    cdef Conditions conditions              # None when nothing is asked
    cdef object search                      # of a regex path, else None
    cdef tuple groups                       # of a regex path: which group each capture is
    cdef list other_methods                 # bytes; methods without a bit
    cdef uint32_t methods                   # bits 1 << Method; ANY_METHOD
    cdef int n_captures
    cdef uint8_t capture_at[CAPTURES_MAX]   # of other paths: the segment at which each begins
    cdef bint has_rest                      # the last one goes on to the end

cdef struct Captures:
    int n
    Span spans[CAPTURES_MAX]                # relative to the canonical path

cdef struct Node:                           # one segment of patterns
    uint32_t least                          # best rank here or below: a look-up that has a better one passes by
    uint32_t capture                        # the node after any one segment; 0: none
    uint32_t literals                       # how many nodes after a literal segment; they are in ``edges``
    uint32_t whole, n_whole                 # patterns that end here: slice of ``ranks``, best first
    uint32_t rest, n_rest                   # patterns with a rest from here on

cdef struct Site:                           # one host, one wildcard, or any host
    uint32_t root
    uint32_t regexes, n_regexes             # slice of ``ranks``

cdef class Router:
    # The best match or None. ``path`` is canonical. ``method_mismatch`` is set to 1 when only the method did not fit
    # (405; ``allowed_methods`` then tells which ones would), else to 0. Either pointer may be NULL.
    cdef Match match(self, const char* buf, const RequestHead* head, const char* host, size_t host_size,
                     const char* path, size_t path_size, Captures* captures, bint* method_mismatch)
    cdef bytes allowed_methods(self, const char* buf, const RequestHead* head, const char* host, size_t host_size,
                               const char* path, size_t path_size)

    cdef Table hosts                        # (exact or wildcard, name) -> site
    cdef Table edges                        # (node, literal segment) -> node
    cdef Node* nodes
    cdef Site* sites                        # the first is any host's
    cdef uint32_t* ranks                    # places in the documented order have ranks 0, 1, 2, ...
    cdef PyObject** places                  # Match of each rank, in ``kept``
    cdef list kept
    cdef uint32_t depth                     # most segments of any pattern
    cdef uint32_t wildcard_labels           # most labels of any wildcard
    cdef uint32_t n_nodes, n_sites, n_places, n_regexes
