"""Cells of 16 bytes that all processes count in: the rules are at the head of ``cells.h``."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "tidegate/memory/cells.h" nogil:
    enum:
        CELLS_A_SET
        TABLE_SETS_MIN
    const int64_t ARRIVAL_MAX           # a rate's arrival time at most, ns
    const int64_t COUNT_MAX             # a quota's count at most
    const int64_t UNTIL_MAX             # end of a quota's window at most, ms
    const int64_t NEVER                 # refused now and always

    ctypedef struct cell:
        uint64_t key
        uint64_t used

    ctypedef struct cells_header:
        uint64_t nonces
        uint64_t evictions              # cells given up before they expired
        uint64_t contended              # refused after a thousand lost swaps

    ctypedef struct cell_table:
        cells_header* header
        cell* cells
        uint32_t sets

    bint cells_are_supported() noexcept
    uint64_t table_size(uint32_t sets) noexcept
    cell_table table_at(void* memory, uint32_t sets) noexcept
    void table_prefetch(const cell_table* table, uint64_t fingerprint) noexcept

    int64_t rate_charge(
        cell_table* table, uint64_t fingerprint, int64_t now_ns, int64_t emission_ns, int64_t tolerance_ns) noexcept
    int64_t rate_peek(
        const cell_table* table, uint64_t fingerprint, int64_t now_ns, int64_t emission_ns, int64_t tolerance_ns
    ) noexcept
    bint rate_refund(
        cell_table* table, uint64_t fingerprint, int64_t now_ns, int64_t emission_ns, int64_t arrival_ns) noexcept
    bint rate_retract(cell_table* table, uint64_t fingerprint, int64_t emission_ns, int64_t arrival_ns) noexcept

    int64_t quota_charge(
        cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t* until_ms, int64_t cost, int64_t maximum
    ) noexcept
    int64_t quota_peek(
        const cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t* until_ms, int64_t cost, int64_t maximum
    ) noexcept
    int64_t quota_used(const cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t* until_ms) noexcept
    bint quota_refund(cell_table* table, uint64_t fingerprint, int64_t until_ms, int64_t cost) noexcept
