"""What adaptive limits have learned, in the state directory: a restarted gateway does not start naked.

Control writes it every few seconds and at its end, if anything was decided since; the supervisor puts it into the new
region before the first worker starts. An upgrade and the death of a worker need none of it: the region stays.

Keys are known by fingerprints under the region's secret. That of a limit without key is made anew; what was learned for
the keys of others is of use only while the secret is the same.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tidegate.config.snapshot import Snapshot
from tidegate.memory.adaptive import row_name
from tidegate.memory.fingerprints import Fingerprints
from tidegate.memory.region import Region
from tidegate.observe.log_writer import Say
from tidegate.process import state_directory
from tidegate.process.failure import StartError
from tidegate.process.whole_file import write_whole

__all__ = ["FILE", "LearnedKeeper", "restore_learned"]

FILE = "learned.json"
PERIOD_S = 5.0


class _Row(msgspec.Struct, frozen=True):
    """One limit, or a key of one by the name of its row."""

    limit: str
    name: int | None
    learned: dict[str, float]


class _Learned(msgspec.Struct, frozen=True):
    """The file."""

    secret: str
    rows: list[_Row]


class LearnedKeeper:
    """Writes what is learned.

    Args:
        region: The shared memory.
        directory: The state directory; None: there is none, and nothing is written.
        snapshot: Gives the active snapshot.
        say: The error log.
    """

    def __init__(self, region: Region, directory: Path | None, snapshot: Callable[[], Snapshot], say: Say) -> None:
        self._region = region
        self._directory = directory
        self._snapshot = snapshot
        self._say = say
        self._written_ns = 0
        self._has_failed = False
        if directory is not None and _read(directory) is None and (directory / FILE).exists():
            say("learned_unreadable", f"{directory / FILE} is no file of learned limits: they are learned anew")

    def __repr__(self) -> str:
        return f"<LearnedKeeper in {self._directory}>"

    async def run(self) -> None:
        """Keeps it up to date until it is cancelled."""
        import asyncio  # with ssl: not for the supervisor, which only restores

        while True:
            await asyncio.sleep(PERIOD_S)
            await asyncio.to_thread(self.keep)

    def keep(self) -> None:
        """Writes it if anything was decided since the last time; said once when the disk does not take it."""
        if self._directory is None or not _learns(self._snapshot()):
            return
        learned, decided_ns = self._look()
        if decided_ns <= self._written_ns:
            return
        try:
            state_directory.prepare(self._directory)
            write_whole(self._directory / FILE, msgspec.json.encode(learned))
        except (OSError, StartError) as error:
            if not self._has_failed:
                self._say("learned_not_written", f"what limits have learned is not on disk: {error}")
            self._has_failed = True
            return
        self._has_failed = False
        self._written_ns = decided_ns

    def _look(self) -> tuple[_Learned, int]:
        from tidegate.limits.adaptive.shared import remembered_of, rows_of

        snapshot, shared, latest_ns = self._snapshot(), self._region.adaptive(0), 0
        rows = []
        for name, limit in snapshot.gateway.limits.items():
            place = snapshot.places.get(name)
            if limit.adaptive is None or place is None:
                continue
            for row, row_is in rows_of(shared, name, place):
                known = remembered_of(shared, row)
                if known is not None:
                    latest_ns = max(latest_ns, known.decided_ns)
                    rows.append(_Row(name, row_is if limit.key else None, known.learned))
        return _Learned(_digest(self._region), rows), latest_ns


def restore_learned(region: Region, snapshot: Snapshot, directory: Path | None) -> None:
    """Puts what was learned before into a new region, within the bounds of the limits of now.

    What is missing or makes no sense is left out.
    """
    if directory is None or not _learns(snapshot) or (found := _read(directory)) is None:
        return
    from tidegate.limits.adaptive.configured import configured
    from tidegate.limits.adaptive.shared import Remembered

    shared, now_ns = region.adaptive(0), time.monotonic_ns()
    taken: dict[str, int] = {}
    for one in found.rows:
        limit, place = snapshot.gateway.limits.get(one.limit), snapshot.places.get(one.limit)
        if limit is None or limit.adaptive is None or place is None or bool(limit.key) != (one.name is not None):
            continue
        if one.name is not None and found.secret != _digest(region):
            continue
        name = one.name
        if name is None:
            name = row_name(one.limit, Fingerprints(region.secret, one.limit).of_key(b""))
        at = taken.get(one.limit, 0)
        if at == place.learners:
            continue
        taken[one.limit] = at + 1
        controller = configured(limit.adaptive)
        controller.restore(one.learned, now_ns)
        known = Remembered(now_ns, controller.export(now_ns), controller.statistics())
        shared.seed(place.learns_at + at, name, now_ns, controller.limit, known.encode())


def _learns(snapshot: Snapshot) -> bool:
    return any(limit.adaptive is not None for limit in snapshot.gateway.limits.values())


def _read(directory: Path) -> _Learned | None:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((directory / FILE).read_bytes(), type=_Learned)
    return None


def _digest(region: Region) -> str:
    """Tells secrets apart without giving one away."""
    return hashlib.blake2b(b"learned", key=region.secret, digest_size=16).hexdigest()
