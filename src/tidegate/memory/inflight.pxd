"""Permits to be in flight, counted for the whole machine: a row for each limit or key, a cell for each worker slot."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "tidegate/memory/inflight.h":
    enum:
        PERMIT_CLASSES                      # counted apart in each cell: ranks of the bells
        PERMIT_CELL_MAX                     # permits of one class in one worker
        PERMIT_WAYS                         # rows of a block
        PERMIT_CHUNK
        PERMIT_NOBODY
        # what an attempt came to, where it is no row
        PERMIT_REFUSED
        PERMIT_NO_ROOM                      # keyed: each row that this key could have is in use
        PERMIT_GONE                         # the row is not that of the key any more: claim it anew
    enum permit_asker:
        PERMIT_ARRIVAL                      # has just come: after those of its class and of better ones who wait
        PERMIT_SECOND_TRY                   # the same, and is itself counted as waiting by now
        PERMIT_TURN                         # first of those who wait, after a bell or by the timer
    ctypedef struct permit_view:
        unsigned char* chunks
        uint64_t* blocks
        uint64_t block_words
        uint32_t slots
        uint32_t holder
    ctypedef struct permit_table:
        uint64_t first_block
        uint64_t set_mask
    ctypedef struct permit_rules:
        uint64_t maximum
        uint64_t guarantee[4]
    ctypedef struct permit_counts:
        uint64_t of[4]
        uint64_t total
    # Of a row that was claimed. ``waiting_row`` < 0: nobody can wait for it. The row, or one of the codes above.
    int64_t permit_acquire(const permit_view*, int64_t row, uint64_t fingerprint, unsigned class_, const permit_rules*,
                           int64_t waiting_row, permit_asker) noexcept nogil
    # False: nothing of that class was held here.
    bint permit_release(const permit_view*, int64_t row, unsigned class_) noexcept nogil
    permit_counts permit_sum(const permit_view*, int64_t row) noexcept nogil
    # By key: rows are made on demand and freed at zero.
    # ``waiting``: the fingerprint of those who wait for the key's permits; 0: nobody can.
    int64_t permit_acquire_keyed(const permit_view*, const permit_table*, uint64_t fingerprint, uint64_t waiting,
                                 unsigned class_, const permit_rules*) noexcept nogil
    bint permit_release_keyed(const permit_view*, int64_t row, unsigned class_) noexcept nogil
    # The row of a key, -1: it has none; the same, made if there is none; one row freed if it is at zero.
    int64_t permit_find(const permit_view*, const permit_table*, uint64_t fingerprint) noexcept nogil
    int64_t permit_claim(const permit_view*, const permit_table*, uint64_t fingerprint) noexcept nogil
    bint permit_close(const permit_view*, int64_t row) noexcept nogil
    uint64_t permit_waiting_fingerprint(uint64_t fingerprint) noexcept nogil
    uint64_t permit_owed(const permit_rules*, const permit_counts* held, const permit_counts* waiting,
                         unsigned class_) noexcept nogil
    uint64_t permit_forget(const permit_view*, uint64_t block, uint32_t slot) noexcept nogil
    uint64_t permit_live(uint64_t fingerprint) noexcept nogil       # name of a row that is in use by the key
    uint64_t* permit_name(const permit_view*, int64_t row) noexcept nogil

cdef class Inflight:
    """The section as one worker sees it, or the supervisor."""
    cdef object region                      # Mapping: keeps the mapping alive
    cdef permit_view view
    cdef readonly uint64_t blocks
    cdef uint64_t forget_blocks(self, uint32_t slot) noexcept nogil

cdef class PermitTable:
    """The blocks of one limit, for all kinds of keys; an unkeyed limit has one block and one key."""
    cdef readonly Inflight inflight
    cdef const permit_view* view            # of ``inflight``
    cdef permit_table table
    cdef readonly uint64_t crowded          # times that a key found no row here, in this process
    # A permit of the key's row: the row, PERMIT_REFUSED or PERMIT_NO_ROOM. Give back with ``release``.
    cdef int64_t acquire(
        self, uint64_t fingerprint, uint64_t waiting, unsigned class_, const permit_rules* rules
    ) noexcept nogil
    cdef void release(self, int64_t row, unsigned class_) noexcept nogil
    cdef uint64_t held(self, uint64_t fingerprint) noexcept nogil      # by all workers
