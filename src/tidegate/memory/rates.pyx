"""Rates of one limit, kept in cells that all processes charge at once.

The protocol, and what a stopped or killed process leaves behind, is at the head of ``cells.h``. Here a table is found
in the region's section "rates", and Python can ask what the request path asks in C.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.memory.atomics cimport load_relaxed
from tidegate.memory.cells cimport (
    NEVER as CELLS_NEVER, rate_charge, rate_peek, rate_refund, rate_retract, table_prefetch)
from tidegate.memory.mapping cimport Mapping
from tidegate.memory.tables cimport view_table

NEVER = CELLS_NEVER
"""The verdict on what is refused now and always."""


@cython.final
cdef class RateTable:
    """The table of ``sets`` sets at ``offset`` bytes of the section; several views of one table are one table."""

    def __cinit__(self, Mapping mapping not None, uint64_t offset, uint32_t sets):
        self.table = view_table(mapping, "rates", offset, sets)
        self.region = mapping

    cpdef int64_t charge(
        self, uint64_t fingerprint, int64_t now_ns, int64_t emission_ns, int64_t tolerance_ns) noexcept nogil:
        """Charges cost / rate unless more than burst / rate is charged already; the wait, negative: refused."""
        return rate_charge(&self.table, fingerprint, now_ns, emission_ns, tolerance_ns)

    cpdef int64_t peek(
        self, uint64_t fingerprint, int64_t now_ns, int64_t emission_ns, int64_t tolerance_ns) noexcept nogil:
        """What ``charge`` would say; changes nothing."""
        return rate_peek(&self.table, fingerprint, now_ns, emission_ns, tolerance_ns)

    cpdef bint refund(
        self, uint64_t fingerprint, int64_t now_ns, int64_t emission_ns, int64_t arrival_ns) noexcept nogil:
        """Gives back what of a charge, which made the cell say ``arrival_ns``, is ahead of now; False: nothing is."""
        return rate_refund(&self.table, fingerprint, now_ns, emission_ns, arrival_ns)

    cpdef bint retract(self, uint64_t fingerprint, int64_t emission_ns, int64_t arrival_ns) noexcept nogil:
        """Gives back the turn that made the cell say ``arrival_ns``; False: somebody has one behind it."""
        return rate_retract(&self.table, fingerprint, emission_ns, arrival_ns)

    cdef void prefetch(self, uint64_t fingerprint) noexcept nogil:
        table_prefetch(&self.table, fingerprint)

    @property
    def evictions(self) -> int:
        """Cells that were given up before they expired, for want of room. Only its growth says something: see ``tables``."""
        return load_relaxed(&self.table.header.evictions)

    @property
    def contended(self) -> int:
        """Charges refused because a thousand tries in a row met another process's success."""
        return load_relaxed(&self.table.header.contended)

    def __repr__(self):
        return f"<RateTable of {self.table.sets} sets, {self.evictions} evictions>"
