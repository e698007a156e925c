"""Quotas: what counts in a window that is open, and how much of it is left.

- ``first_use``: a window opens with the first request and is open for a period; the next opens with the first request
  after it.
- ``aligned``: windows begin at multiples of the period since 1970 UTC, so days at midnight. A step of the wall clock
  moves the windows that open after it; one that is open ends when it was to end.
- ``sliding``: aligned windows, and of the one before as much counts as it still reaches into a period that ends now, as
  if its requests had come evenly. At most twice the maximum of a fixed window can pass in a period across its border;
  of a sliding one about the maximum.

A refused request is not counted. Each window has a cell of its own in ``memory.quotas``; a sliding quota takes two in
turn, and the cell of a window is kept for a period after its end.
"""

cimport cython
from libc.math cimport ceil
from libc.stdint cimport int64_t, uint64_t

from tidegate.memory.cells cimport COUNT_MAX, UNTIL_MAX
from tidegate.memory.quotas cimport QuotaTable

cdef enum:
    ALIGNED
    FIRST_USE
    SLIDING

WINDOWS = ("aligned", "first_use", "sliding")

# Turns a key's fingerprint into that of its odd windows: bits of both halves, which choose the two sets.
cdef uint64_t ODD = 0x5851F42D4C957F2D


@cython.final
cdef class QuotaLimit:
    """At most ``maximum`` in ``period_ms``; ``window`` is one of ``WINDOWS``."""

    def __cinit__(self, QuotaTable table not None, int64_t maximum, int64_t period_ms, str window not None="aligned"):
        if not 0 <= maximum <= COUNT_MAX:
            raise ValueError(f"expected a maximum of 0 to {COUNT_MAX}, got {maximum}")
        if not 1 <= period_ms <= UNTIL_MAX // 4:
            raise ValueError(f"expected a period of 1 to {UNTIL_MAX // 4} ms, got {period_ms}")
        if window not in WINDOWS:
            raise ValueError(f"expected a window that is one of {', '.join(WINDOWS)}, got {window!r}")
        self.table = table
        self.maximum, self.period_ms, self.window, self.kind = maximum, period_ms, window, WINDOWS.index(window)

    cdef int64_t _open(
        self, uint64_t fingerprint, int64_t now_ms, int64_t wall_ms, QuotaWindow* window) noexcept nogil:
        # The window that would be counted in, and what may be counted in it.
        cdef int64_t until_ms = 0, passed_ms, before
        window.fingerprint = fingerprint
        if self.kind == FIRST_USE:
            window.until_ms = window.ends_ms = now_ms + self.period_ms
            return self.maximum
        passed_ms = wall_ms % self.period_ms
        window.until_ms = window.ends_ms = now_ms + self.period_ms - passed_ms
        if self.kind == ALIGNED:
            return self.maximum
        window.until_ms += self.period_ms
        if wall_ms // self.period_ms & 1:
            window.fingerprint ^= ODD
        before = self.table.used(window.fingerprint ^ ODD, now_ms, &until_ms)
        # Rounded up: what may have come within the period counts whole.
        return self.maximum - <int64_t>ceil(<double>before * (self.period_ms - passed_ms) / self.period_ms)

    cdef int64_t charge(
        self, uint64_t fingerprint, int64_t now_ms, int64_t wall_ms, int64_t cost, QuotaWindow* window) noexcept nogil:
        cdef int64_t most = self._open(fingerprint, now_ms, wall_ms, window)
        cdef int64_t left = self.table.charge(window.fingerprint, now_ms, &window.until_ms, cost, most)
        if self.kind != SLIDING:
            window.ends_ms = window.until_ms
        return left

    cdef int64_t peek(
        self, uint64_t fingerprint, int64_t now_ms, int64_t wall_ms, int64_t cost, QuotaWindow* window) noexcept nogil:
        cdef int64_t most = self._open(fingerprint, now_ms, wall_ms, window)
        cdef int64_t left = self.table.peek(window.fingerprint, now_ms, &window.until_ms, cost, most)
        if self.kind != SLIDING:
            window.ends_ms = window.until_ms
        return left

    cdef bint refund(self, const QuotaWindow* window, int64_t cost) noexcept nogil:
        return self.table.refund(window.fingerprint, window.until_ms, cost)

    cpdef void settle(self, uint64_t fingerprint, int64_t now_ms, int64_t wall_ms, int64_t cost) noexcept nogil:
        """Counts what has been served already, whatever room there is: nobody passes until the window ends."""
        cdef QuotaWindow window
        self._open(fingerprint, now_ms, wall_ms, &window)
        self.table.charge(window.fingerprint, now_ms, &window.until_ms, cost, COUNT_MAX)

    # The same for Python code off the request path; a window is (fingerprint, until_ms, ends_ms).

    def count(
        self, uint64_t fingerprint, int64_t now_ms, int64_t wall_ms, int64_t cost=1
    ) -> tuple[int, tuple[int, int, int]]:
        """(what is left after counting ``cost``, -1: refused; the window)."""
        cdef QuotaWindow window
        cdef int64_t left = self.charge(fingerprint, now_ms, wall_ms, cost, &window)
        return left, (window.fingerprint, window.until_ms, window.ends_ms)

    def look(
        self, uint64_t fingerprint, int64_t now_ms, int64_t wall_ms, int64_t cost=1
    ) -> tuple[int, tuple[int, int, int]]:
        """What ``count`` would say; changes nothing."""
        cdef QuotaWindow window
        cdef int64_t left = self.peek(fingerprint, now_ms, wall_ms, cost, &window)
        return left, (window.fingerprint, window.until_ms, window.ends_ms)

    def give_back(self, window: tuple[int, int, int], int64_t cost=1) -> bool:
        """Gives ``cost`` back to a window and to no other; False: it is gone."""
        cdef QuotaWindow one
        one.fingerprint, one.until_ms, one.ends_ms = window
        return self.refund(&one, cost)

    def __repr__(self):
        return f"<QuotaLimit {self.maximum} in {self.period_ms / 1000:g} s, {self.window}>"
