"""How important a request is.

A request is of one class, in every limit and when load is shed: of the one that its route says, or of the usual one. Who asks
has a priority, which says more than the route. And the request itself may say it in a field, where the operator takes its word:
anybody may make himself less important; more important only where that is allowed, or every client would be.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.limits cimport INT_MAX
from libc.string cimport memcmp

from tidegate.limits.keys cimport Asked, ask_of
from tidegate.wire.http1 cimport RequestHead, Span
from tidegate.wire.parameters cimport only_field_of


cdef class Classes:
    """settings: config.Classes."""

    def __init__(self, settings):
        cdef int rank
        self.names = tuple(settings.names)
        if len(self.names) > CLASSES_MAX:
            raise ValueError(f"there are at most {CLASSES_MAX} classes, not {len(self.names)}")
        self.count = max(1, len(self.names))
        self.usual = self.count - 1 if settings.default is None else self.rank(settings.default)
        self.header = (settings.header or "").encode("ascii")
        self.header_raises = settings.header_raises
        self.texts = [name.encode() for name in self.names]
        self.asks_priority = len(settings.priorities) > 0
        for rank in range(CLASSES_MAX):
            self.least[rank] = INT_MAX
        for name, priority in settings.priorities.items():
            self.least[self.rank(name)] = priority

    def rank(self, str name not None) -> int:
        """The rank of a class, 0 the most important; ValueError when there is no such class."""
        return self.names.index(name)

    cdef unsigned of(
        self, int route_class, const char* raw, const RequestHead* head, bint is_known, int priority
    ) noexcept:
        cdef int found = self.usual if route_class < 0 else route_class
        cdef int rank
        cdef Span value
        cdef bytes text
        if self.asks_priority and is_known:
            for rank in range(self.count):
                if priority >= self.least[rank]:
                    found = rank
                    break
        if PyBytes_GET_SIZE(self.header) and only_field_of(
            head, raw, PyBytes_AS_STRING(self.header), PyBytes_GET_SIZE(self.header), &value
        ):
            for rank in range(self.count):
                text = <bytes>self.texts[rank]
                if <size_t>PyBytes_GET_SIZE(text) == value.size and memcmp(
                    PyBytes_AS_STRING(text), raw + value.start, value.size
                ) == 0:
                    if rank > found or self.header_raises:
                        found = rank
                    break
        return found

    def class_of(self, bytes head not None, *, str route_class=None, priority=None) -> str:
        """The class of a request, "" when there are none; for tests and tools. ``priority``: of who asks, None: nobody is."""
        cdef RequestHead parsed
        cdef Asked asked
        ask_of(head, &parsed, &asked)
        rank = self.of(
            -1 if route_class is None else self.rank(route_class), asked.raw, &parsed, priority is not None, priority or 0
        )
        return self.names[rank] if self.names else ""

    def __repr__(self):
        return f"<Classes {', '.join(self.names) or 'none'}>"
