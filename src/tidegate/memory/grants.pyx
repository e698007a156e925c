"""What a fleet's store lets a machine have in flight, in cells that all its workers read.

The protocol, and what a stopped or killed process leaves behind, is at the head of ``grants.h``.
"""

cimport cython
from libc.stdint cimport int64_t, uint64_t

from tidegate.memory.leases cimport LeaseTable

HELD_MS = GRANT_MS
FORGOTTEN_MS = GRANT_FORGOTTEN_MS


@cython.final
cdef class GrantTable(LeaseTable):

    def lent(self, uint64_t fingerprint, int64_t now_ms) -> tuple[int, int]:
        cdef int64_t until_ms = now_ms
        cdef int64_t permits = grant_lent(&self.table, fingerprint, now_ms, &until_ms)
        return permits, until_ms

    def own(self, uint64_t fingerprint, int64_t now_ms) -> int:
        return grant_own(&self.table, fingerprint, now_ms)

    def maximum(self, uint64_t fingerprint, int64_t now_ms, int64_t bound) -> int:
        return grant_maximum(&self.table, fingerprint, now_ms, bound)

    def begin(self, uint64_t fingerprint, int64_t now_ms, int64_t wanted) -> int:
        return grant_begin(&self.table, fingerprint, now_ms, wanted)

    def answer(self, uint64_t fingerprint, int64_t began_ms, int64_t turn, int64_t permits) -> bool:
        return grant_put(&self.table, fingerprint, began_ms, turn, permits)

    def allow(self, uint64_t fingerprint, int64_t now_ms, int64_t until_ms, int64_t permits) -> None:
        grant_allow(&self.table, fingerprint, now_ms, until_ms, permits)

    def asked(self, uint64_t fingerprint, int64_t now_ms) -> int:
        return grant_asked(&self.table, fingerprint, now_ms)

    def __repr__(self):
        return f"<GrantTable of {self.table.sets} sets, {self.evictions} evictions>"
