"""The table of one fleet limit: what this machine has borrowed of each key, and who asks for more."""

from libc.stdint cimport int64_t, uint64_t

from tidegate.memory.cells cimport cell_table

cdef extern from "tidegate/memory/leases.h" nogil:
    enum:
        LEASE_EPOCH_MS
        LEASE_ASKED_MS

    int64_t lease_until(int64_t epoch) noexcept
    int64_t lease_credits(const cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t epoch) noexcept
    int64_t lease_take(cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t cost) noexcept
    void lease_put(
        cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t epoch, int64_t credits) noexcept
    int64_t lease_end(cell_table* table, uint64_t fingerprint, int64_t epoch) noexcept
    int64_t lease_closed(const cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t cost) noexcept
    bint lease_ask(
        cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t cost) noexcept
    void lease_free(cell_table* table, uint64_t fingerprint, int64_t now_ms) noexcept
    void lease_close(
        cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t least) noexcept
    int64_t lease_share(
        cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t* until_ms, int64_t wanted, int64_t maximum
    ) noexcept
    int64_t lease_held(
        const cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t* until_ms) noexcept
    void lease_hold(
        cell_table* table, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t by) noexcept

cdef class LeaseTable:
    """A process's view of a table; one thread's. Times are CLOCK_MONOTONIC in ms, keys their fingerprint.

    An epoch is ``LEASE_EPOCH_MS`` of that clock; credits are used until the epoch behind theirs has ended.
    """
    cdef object region                      # Mapping: keeps the mapping alive
    cdef cell_table table
