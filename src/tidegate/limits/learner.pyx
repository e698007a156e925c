"""An adaptive limit as the requests of one worker meet it: how many may be in flight, and what they teach.

What is learned is the machine's, in a row of ``memory.adaptive`` for the limit, or for each of its keys. A key takes a row
when it is first asked for; it gives it up to a new one when nobody has asked for it for a minute. While all rows are of
others, ``initial`` holds for a key, and it teaches nothing.

Requests look up a number and count into their worker's own bank. Decisions are made by a timer (``tick``), by whichever
worker comes first, in ``limits.adaptive``.
"""

from cpython.bytes cimport PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.memory.adaptive cimport Adaptive, name_of

from tidegate.memory.adaptive import tag_of

cdef uint64_t LOOK_AGAIN_NS = 1000000000        # what is known of rows may be of yesterday: of two for one key one stays


cdef class Learner:
    """name, settings: of the configuration (config.Adaptive). shared: the worker's view. first, rows: where it learns.
    now_ns: when this worker begins with it."""

    def __init__(
        self, str name not None, settings, Adaptive shared not None, uint32_t first, uint32_t rows, uint64_t now_ns
    ):
        # Only a worker that has such a limit has the memory for it.
        from tidegate.limits.adaptive.configured import configured
        from tidegate.limits.adaptive.shared import SharedLimit

        self.shared = shared
        self.tag = tag_of(name)
        self.first = first
        self.rows = rows
        self.now_ns = now_ns
        self.initial = configured(settings).limit
        self.waiting_field = (settings.waiting_field or "").lower().encode()
        for status in settings.overload:
            self.overload[(status - 400) >> 6] |= <uint64_t>1 << ((status - 400) & 63)
        self.deciders = [SharedLimit(shared, row, lambda: configured(settings)) for row in range(first, first + rows)]

    cdef int64_t row_of(self, uint64_t fingerprint) noexcept nogil:
        cdef uint64_t name = name_of(fingerprint, self.tag)
        cdef KnownRow* known = &self.known[(fingerprint >> 16) % KNOWN]
        if known.name == name and self.now_ns < known.at_ns + LOOK_AGAIN_NS:
            if known.row < 0 or self.shared.is_of(<uint32_t>known.row, name):
                return known.row
        known.name = name
        known.at_ns = self.now_ns
        known.row = self.shared.claim(self.first, self.rows, name, self.now_ns)
        if known.row < 0:
            self.crowded = self.crowded + 1     # ``+=`` asks for the lock where Cython checks for None
        return known.row

    cdef uint64_t maximum(self, uint64_t fingerprint) noexcept nogil:
        cdef int64_t row = self.row_of(fingerprint)
        cdef uint64_t learned = 0 if row < 0 else self.shared.limit(<uint32_t>row)
        return learned if learned != 0 else self.initial

    cdef bint is_overload(self, int status) noexcept nogil:
        return 400 <= status < 600 and self.overload[(status - 400) >> 6] >> ((status - 400) & 63) & 1

    cdef void observe(self, int64_t row, uint64_t fingerprint, int64_t started_ns, int64_t latency_ns, uint32_t in_flight,
                      bint was_dropped, int64_t waiting_ns) noexcept nogil:
        if row >= 0 and self.shared.is_of(<uint32_t>row, name_of(fingerprint, self.tag)):
            self.shared.observe(<uint32_t>row, started_ns, latency_ns, in_flight, was_dropped, waiting_ns)

    @property
    def reports_waiting(self):
        """Whether the upstream says how long requests waited there."""
        return PyBytes_GET_SIZE(self.waiting_field) > 0

    def limit_of(self, uint64_t fingerprint):
        """How many requests of a key may be in flight now."""
        return self.maximum(fingerprint)

    def tick(self, uint64_t now_ns):
        """Decides what is due, ten times a second; how many decisions were made."""
        self.now_ns = now_ns
        return sum([decider.turn(now_ns) is not None for decider in self.deciders])

    # For tests: what an exchange does.

    def teach(
        self, uint64_t fingerprint, int64_t started_ns, int64_t latency_ns, uint32_t in_flight, bint was_dropped=False,
        int64_t waiting_ns=-1,
    ):
        """One request that ended."""
        self.observe(self.row_of(fingerprint), fingerprint, started_ns, latency_ns, in_flight, was_dropped, waiting_ns)

    def __repr__(self):
        return f"<Learner in {self.rows} rows from {self.first}>"
