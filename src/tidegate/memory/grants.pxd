"""The table of one fleet limit of concurrency: how many this machine may have in flight of each key."""

from libc.stdint cimport int64_t, uint64_t

from tidegate.memory.cells cimport cell_table
from tidegate.memory.leases cimport LeaseTable

cdef extern from "tidegate/memory/grants.h" nogil:
    enum:
        GRANT_MS
        GRANT_FORGOTTEN_MS
        GRANT_PERMITS_MAX

    int64_t grant_lent(const cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t* until_ms) noexcept
    int64_t grant_own(const cell_table* table, uint64_t fingerprint, int64_t now_ms) noexcept
    int64_t grant_maximum(const cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t bound) noexcept
    int64_t grant_begin(cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t wanted) noexcept
    bint grant_put(
        cell_table* table, uint64_t fingerprint, int64_t began_ms, int64_t turn, int64_t permits) noexcept
    void grant_allow(
        cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t permits) noexcept
    int64_t grant_asked(const cell_table* table, uint64_t fingerprint, int64_t now_ms) noexcept

cdef class GrantTable(LeaseTable):
    """A process's view of a table; one thread's. Who asks is told by the cells of its base."""
