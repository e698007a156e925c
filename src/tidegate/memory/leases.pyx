"""Credits that a machine has borrowed of a fleet's limit, kept in cells that all its workers take from at once.

The protocol, and what a stopped or killed process leaves behind, is at the head of ``leases.h``.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.memory.atomics cimport load_relaxed
from tidegate.memory.mapping cimport Mapping
from tidegate.memory.tables cimport view_table

EPOCH_MS = LEASE_EPOCH_MS
LEASE_MS = 2 * LEASE_EPOCH_MS
ASKED_MS = LEASE_ASKED_MS


cdef class LeaseTable:
    """The table of ``sets`` sets at ``offset`` bytes of the section "quotas"; several views of one table are one."""

    def __cinit__(self, Mapping mapping not None, uint64_t offset, uint32_t sets):
        self.table = view_table(mapping, "quotas", offset, sets)
        self.region = mapping

    def take(self, uint64_t fingerprint, int64_t now_ms, int64_t cost=1) -> int:
        return lease_take(&self.table, fingerprint, now_ms, cost)

    def credits(self, uint64_t fingerprint, int64_t now_ms) -> tuple[int, int]:
        cdef int64_t epoch = now_ms // <int64_t>LEASE_EPOCH_MS
        return (
            lease_credits(&self.table, fingerprint, now_ms, epoch - 1),
            lease_credits(&self.table, fingerprint, now_ms, epoch),
        )

    def put(self, uint64_t fingerprint, int64_t now_ms, int64_t epoch, int64_t count) -> None:
        lease_put(&self.table, fingerprint, now_ms, epoch, count)

    def end(self, uint64_t fingerprint, int64_t epoch) -> int:
        return lease_end(&self.table, fingerprint, epoch)

    def ask(self, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t cost=1) -> bool:
        return lease_ask(&self.table, fingerprint, now_ms, until_ms, cost)

    def free(self, uint64_t fingerprint, int64_t now_ms) -> None:
        lease_free(&self.table, fingerprint, now_ms)

    def close(self, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t least=1) -> None:
        lease_close(&self.table, fingerprint, now_ms, until_ms, least)

    def closed(self, uint64_t fingerprint, int64_t now_ms, int64_t cost=1) -> int:
        return lease_closed(&self.table, fingerprint, now_ms, cost)

    def share(
        self, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t wanted, int64_t maximum
    ) -> tuple[int, int]:
        cdef int64_t lent = lease_share(&self.table, fingerprint, now_ms, &until_ms, wanted, maximum)
        return lent, until_ms

    def held(self, uint64_t fingerprint, int64_t now_ms) -> tuple[int, int]:
        cdef int64_t until_ms = now_ms
        cdef int64_t held = lease_held(&self.table, fingerprint, now_ms, &until_ms)
        return held, until_ms

    def hold(self, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t by) -> None:
        lease_hold(&self.table, fingerprint, now_ms, until_ms, by)

    @property
    def evictions(self) -> int:
        """Cells that were given up before they expired, for want of room. Only its growth says something: see ``tables``."""
        return load_relaxed(&self.table.header.evictions)

    @property
    def contended(self) -> int:
        """Changes given up because a thousand tries in a row met another process's success."""
        return load_relaxed(&self.table.header.contended)

    def __repr__(self):
        return f"<LeaseTable of {self.table.sets} sets, {self.evictions} evictions>"
