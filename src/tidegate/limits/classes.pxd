"""How important a request is: its class, by route, by who asks, and by what it says of itself."""

from tidegate.wire.http1 cimport RequestHead

cdef enum:
    CLASSES_MAX = 4             # permits are counted by as many (memory.inflight)

cdef class Classes:
    cdef readonly tuple names               # the most important first; empty: all requests are alike
    cdef readonly int count                 # at least 1
    cdef int usual                          # of what nothing else is said of
    cdef bytes header                       # where a request says it; empty: it has no say
    cdef bint header_raises
    cdef list texts                         # the names as requests spell them
    cdef bint asks_priority
    cdef int[CLASSES_MAX] least             # priority of a key that is of the class
    # Its rank, 0 the most important. ``route_class``: -1 for what the route does not say; ``is_known``: who asks is, and has
    # that ``priority``.
    cdef unsigned of(
        self, int route_class, const char* raw, const RequestHead* head, bint is_known, int priority
    ) noexcept
