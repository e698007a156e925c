"""Quotas of one limit, kept in cells that all processes count in at once.

The protocol, and what a stopped or killed process leaves behind, is at the head of ``cells.h``. A window is told by its
end: it is open until then, and the first charge after it opens the next. A count is at most ``COUNT_MAX``, 2.2e12; a
window ends at most ``UNTIL_MAX`` ms, 8.7 years, after the machine's start.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.memory.atomics cimport load_relaxed
from tidegate.memory.cells cimport (
    COUNT_MAX as CELLS_COUNT_MAX, UNTIL_MAX as CELLS_UNTIL_MAX, quota_charge, quota_peek, quota_refund, quota_used,
    table_prefetch)
from tidegate.memory.mapping cimport Mapping
from tidegate.memory.tables cimport view_table

COUNT_MAX = CELLS_COUNT_MAX
UNTIL_MAX = CELLS_UNTIL_MAX


@cython.final
cdef class QuotaTable:
    """The table of ``sets`` sets at ``offset`` bytes of the section; several views of one table are one table."""

    def __cinit__(self, Mapping mapping not None, uint64_t offset, uint32_t sets):
        self.table = view_table(mapping, "quotas", offset, sets)
        self.region = mapping

    cdef int64_t charge(
        self, uint64_t fingerprint, int64_t now_ms, int64_t* until_ms, int64_t cost, int64_t maximum) noexcept nogil:
        return quota_charge(&self.table, fingerprint, now_ms, until_ms, cost, maximum)

    cdef int64_t peek(
        self, uint64_t fingerprint, int64_t now_ms, int64_t* until_ms, int64_t cost, int64_t maximum) noexcept nogil:
        return quota_peek(&self.table, fingerprint, now_ms, until_ms, cost, maximum)

    cdef int64_t used(self, uint64_t fingerprint, int64_t now_ms, int64_t* until_ms) noexcept nogil:
        return quota_used(&self.table, fingerprint, now_ms, until_ms)

    cdef bint refund(self, uint64_t fingerprint, int64_t until_ms, int64_t cost) noexcept nogil:
        return quota_refund(&self.table, fingerprint, until_ms, cost)

    cdef void prefetch(self, uint64_t fingerprint) noexcept nogil:
        table_prefetch(&self.table, fingerprint)

    # The same for Python code off the request path.

    def count(
        self, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t cost, int64_t maximum
    ) -> tuple[int, int]:
        """Counts ``cost`` unless that makes more than ``maximum``: (left, -1 for refused; end of the window)."""
        cdef int64_t left = self.charge(fingerprint, now_ms, &until_ms, cost, maximum)
        return left, until_ms

    def look(
        self, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t cost, int64_t maximum
    ) -> tuple[int, int]:
        """What ``count`` would say; changes nothing."""
        cdef int64_t left = self.peek(fingerprint, now_ms, &until_ms, cost, maximum)
        return left, until_ms

    def counted(self, uint64_t fingerprint, int64_t now_ms) -> tuple[int, int]:
        """(what is counted in the window that is open, its end); (0, 0) when none is."""
        cdef int64_t until_ms = 0
        cdef int64_t used = self.used(fingerprint, now_ms, &until_ms)
        return used, until_ms

    def give_back(self, uint64_t fingerprint, int64_t until_ms, int64_t cost) -> bool:
        """Gives ``cost`` back to the window that ends at ``until_ms``; False: it is gone."""
        return self.refund(fingerprint, until_ms, cost)

    @property
    def evictions(self) -> int:
        """Cells that were given up before they expired, for want of room. Only its growth says something: see ``tables``."""
        return load_relaxed(&self.table.header.evictions)

    @property
    def contended(self) -> int:
        """Charges refused because a thousand tries in a row met another process's success."""
        return load_relaxed(&self.table.header.contended)

    def __repr__(self):
        return f"<QuotaTable of {self.table.sets} sets, {self.evictions} evictions>"
