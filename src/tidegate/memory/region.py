"""The one region of memory all processes of a gateway share.

The supervisor makes it as a sealed memory file and passes the descriptor on; workers and control attach to it. It lives
as long as one of them does, and a worker's death leaves it as it is.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Sequence

from tidegate.memory.adaptive import Adaptive, adaptive_size
from tidegate.memory.bells import Bells, bells_size, make_descriptors
from tidegate.memory.flights import flights_size
from tidegate.memory.generations import GENERATIONS_SIZE, Generations
from tidegate.memory.health import HEALTH_SIZE
from tidegate.memory.hitters import TABLE_SIZE
from tidegate.memory.inflight import NOBODY, Inflight, inflight_size
from tidegate.memory.journal import Journal, format_journal, journal_size
from tidegate.memory.layout import SECRET_OFFSET, SECRET_SIZE, pack_header, plan
from tidegate.memory.log_ring import RING_HEADER_SIZE, ring_capacity
from tidegate.memory.mapping import Mapping
from tidegate.memory.meters import METERS_SIZE, SERIES_SIZE, MeterReader, MeterTotals
from tidegate.memory.slot import MARK_SIZE, Slot
from tidegate.memory.store_report import STORE_REPORT_SIZE
from tidegate.memory.tables import check_machine
from tidegate.memory.turns import TURNS_SIZE

JOURNALS = {"seconds": (610, 8176), "events": (512, 1008), "stacks": (640, 2032)}
"""Records that the flight recorder's journals hold, and bytes of the longest: ten minutes of seconds, what was said in
the error log, where workers were. Memory is taken as they fill; 6.8 MB when all are full of the longest.
"""

SERIES_RESERVED = 9
"""Places of the series table taken by "other" of routes, upstreams, limits, three kinds of Redis, shedding, fleets."""


class Region:
    """Marks, meters and log rings of all worker slots, words about endpoints, bells, the active snapshot's number."""

    def __init__(self, fd: int, bell_fds: Sequence[int] = ()) -> None:
        self.fd = fd
        self.bell_fds = list(bell_fds)
        self.mapping = Mapping(fd)

    @classmethod
    def create(
        cls,
        slots: int,
        log_bytes: int = 1 << 20,
        series: int = 512,
        workers: int | None = None,
        *,
        rates: int = 0,
        quotas: int = 0,
        inflight_blocks: int = 0,
        secret: bytes | None = None,
    ) -> Region:
        """Makes a region: ``log_bytes`` of log ring (rounded up to a power of two) and ``series`` histograms a slot.

        ``workers``: how many of the slots one generation fills; all of them unless said otherwise.
        ``rates``, ``quotas``: bytes for the limits' tables of each kind, ``inflight_blocks``: blocks of eight rows of
        permits, for all concurrency limits together. ``secret``: 32 bytes, random unless given. ``RuntimeError`` for
        tables on a machine that cannot compare and swap 16 bytes at once.
        Memory is taken page by page when first touched. ``descriptors`` are closed on exec; pass them on by number.
        """
        if series < 1 or log_bytes < 1:
            raise ValueError(f"expected at least one series and one byte of log, got {series} and {log_bytes}")
        if min(rates, quotas, inflight_blocks) < 0:
            raise ValueError(f"expected no negative room for limits, got {rates}, {quotas} and {inflight_blocks}")
        if rates or quotas:
            check_machine()
        layout = plan(
            slots,
            [
                ("marks", MARK_SIZE, 0),
                ("meters", METERS_SIZE, 0),
                ("series", (series + SERIES_RESERVED) * SERIES_SIZE, 0),
                ("hitters", (series + SERIES_RESERVED) * TABLE_SIZE, 0),
                ("turns", 0, TURNS_SIZE),
                ("log", RING_HEADER_SIZE + ring_capacity(log_bytes), 0),
                ("health", 0, HEALTH_SIZE),
                ("bells", 0, bells_size(slots)),
                ("rates", 0, rates),
                ("quotas", 0, quotas),
                ("inflight", 0, inflight_size(inflight_blocks, slots)),
                ("adaptive", 0, adaptive_size(slots)),
                ("generations", 0, GENERATIONS_SIZE),
                ("flights", 0, flights_size()),
                ("store", STORE_REPORT_SIZE, 0),
                *((name, 0, journal_size(*shape)) for name, shape in JOURNALS.items()),
            ],
            workers=workers,
        )
        fd = os.memfd_create("tidegate", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, layout.size)
            os.pwrite(fd, pack_header(layout), 0)
            os.pwrite(fd, os.urandom(SECRET_SIZE) if secret is None else secret[:SECRET_SIZE], SECRET_OFFSET)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            region = cls(fd, make_descriptors(slots))
            for name, shape in JOURNALS.items():
                format_journal(region.mapping, name, *shape)
            return region
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def attach(cls, fd: int, bell_fds: Sequence[int] = ()) -> Region:
        """Maps a region made by another process; ``ValueError`` when ``fd`` is none, or one of another layout.

        ``bell_fds`` are the maker's: an eventfd for each slot. Without them this process rings nobody.
        """
        return cls(fd, bell_fds)

    @property
    def descriptors(self) -> list[int]:
        """What a process has to inherit to attach."""
        return [self.fd, *self.bell_fds]

    @property
    def slots(self) -> int:
        """How many worker slots there are."""
        return self.mapping.slots

    @property
    def workers(self) -> int:
        """How many of the slots one generation fills; slot ``i`` and slot ``i + workers`` share their sockets."""
        workers: int = self.mapping.layout.workers
        return workers

    @property
    def snapshot_number(self) -> int:
        """Number of the snapshot that exchanges begin with; storing it is the switch."""
        return self.mapping.load_snapshot()

    @snapshot_number.setter
    def snapshot_number(self, number: int) -> None:
        self.mapping.store_snapshot(number)

    @property
    def secret(self) -> bytes:
        """32 random bytes, the same for all processes while it runs: tokens and fingerprints are keyed with it.

        Where there is a state directory they are kept there, and are the same after a restart.
        """
        return os.pread(self.fd, SECRET_SIZE, SECRET_OFFSET)

    def slot(self, index: int) -> Slot:
        """The worker slot ``index``."""
        return Slot(self.mapping, index, self.bell_fds)

    def bells(self) -> Bells:
        """The bells of all slots."""
        return Bells(self.mapping, self.bell_fds)

    def inflight(self, slot: int = NOBODY) -> Inflight:
        """The permits of all limits, as the worker in ``slot`` sees them; without one only to look, and to forget."""
        return Inflight(self.mapping, slot)

    def adaptive(self, slot: int) -> Adaptive:
        """Samples and limits of the adaptive limits, as the worker in ``slot`` sees them."""
        return Adaptive(self.mapping, slot)

    def generations(self) -> Generations:
        """What was invalidated in the caches of all workers."""
        section = self.mapping.layout.sections["generations"]
        return Generations(mmap.mmap(self.fd, section.size, offset=section.offset))

    def journal(self, name: str) -> Journal:
        """One of ``JOURNALS``."""
        return Journal(self.mapping, name)

    def close(self) -> None:
        """Closes the descriptors; the mapping stays for those who hold parts of it."""
        for fd in self.descriptors:
            if fd >= 0:
                os.close(fd)
        self.fd = -1
        self.bell_fds = []

    def __repr__(self) -> str:
        return f"<Region fd={self.fd} {self.mapping.size} bytes, {self.slots} slots, snapshot {self.snapshot_number}>"


def read_meters(region: Region, slot: int | None = None) -> MeterTotals:
    """All counters and histograms of one slot, or summed over all."""
    return MeterReader(region.mapping).totals(slot)
