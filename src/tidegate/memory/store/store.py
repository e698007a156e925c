"""The store of cached values that all processes of a machine share.

Reading is for the loop: a look-up in mapped memory, microseconds, no lock that anybody could stand in. Everything that
writes is for the thread of `writer`. Who has lost the store, because its file system is full, its writer waits for a
process that is stopped, or it was found damaged, goes on without: a read is a miss, a write says False, and each
change of state is said once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import Awaitable, Callable
from itertools import groupby
from pathlib import Path
from typing import Self

import lmdb
from msgspec.structs import replace

from tidegate.errors import GatewayError, Kind, Source
from tidegate.memory.store.directory import PATIENCE_S, StoreDirectory, failure
from tidegate.memory.store.generation import DAMAGED, Generation, StaleGeneration, is_damage, is_no_room
from tidegate.memory.store.ledger import Totals
from tidegate.memory.store.record import (
    META_MAX,
    SMALL_MAX,
    Buffer,
    Entry,
    StoreStatistics,
    boot_s,
    entry_of,
    stored_key,
)
from tidegate.memory.store.writer import Write, Writer

__all__ = ["Store"]

_ROOM_AGAIN_S = 1.0  # without a failure, until there is room again; in vain, until something is given up again
_COPY_AGAIN_S = 10.0
CLOSE_S = 1.0
"""How long the end of a worker may wait for writes."""

_DELETIONS_MAX = 100_000  # that wait for a writer that is stuck


class Store:
    """A process's view of the store in a directory; `open` makes one.

    Reads, and asking for writes, are the loop's. The writes are made by a thread of this process.
    """

    def __init__(
        self,
        directory: StoreDirectory,
        max_bytes: int,
        *,
        say: Callable[..., None],
        clock: Callable[[], float],
        owner: int | None,
        patience_s: float,
    ) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._say = say
        self._clock = clock
        self._patience_s = patience_s
        self._stored = self._deleted = self._without_room = self._rebuilt = self._broken = 0
        self._no_room_at_s: float | None = None  # when something found no room last; None: there is room
        self._copied_at_s = 0.0  # when it was tried last
        self._in_vain_at_s = 0.0  # when there was no room although something was given up
        self._is_away = False  # nothing is read until the thread has opened what is valid
        self._deleting: dict[bytes, int] = {}  # keys whose deletion waits: a read finds nothing
        with directory.locked(patience_s):
            self._index, reason = directory.open_index(max_bytes)
            self._cells = self._index.cells
            if owner is not None and (other := self._index.take_over(owner)):
                raise GatewayError(
                    Kind.PROXY_CONFIGURATION_ERROR,
                    f"the store in {directory.path} is that of the gateway with pid {other}: name another directory",
                    source=Source.INTERNAL,
                )
            self._generation = self._open_valid(reason)
        self._writer = Writer(self._make, self._made, self._became_stuck, patience_s)

    @classmethod
    def open(
        cls,
        directory: Path,
        max_bytes: int,
        *,
        say: Callable[..., None],
        clock: Callable[[], float] = boot_s,
        owner: int | None = None,
        patience_s: float = PATIENCE_S,
    ) -> Self:
        """Opens the store of a directory, which is made if it is not there; what the dead have left is cleared.

        Args:
            directory: Of this gateway alone, and of its user alone (0700); on tmpfs.
            max_bytes: Bound of all entries together.
            say: ``say(kind, message, level=…, **fields)``, as the error log has it; called on another thread as well.
            clock: Seconds, as of CLOCK_BOOTTIME.
            owner: The pid of the gateway: its supervisor's, which an upgrade keeps. None: whoever opens it may.
            patience_s: How long a write waits for its thread, and who opens for others who do.

        Raises:
            GatewayError: The directory is not ours alone, another gateway that runs has the store, its file system is
                full, or a stopped process holds it.
        """
        place = StoreDirectory(Path(directory))
        try:
            return cls(place, max_bytes, say=say, clock=clock, owner=owner, patience_s=patience_s)
        except OSError as error:
            place.close()
            raise failure(error, f"cannot open the store in {directory}") from error
        except lmdb.Error as error:
            place.close()
            kind = Kind.GATEWAY_EXHAUSTED if is_no_room(error) else Kind.PROXY_INTERNAL_ERROR
            message = f"cannot open the store in {directory}: {error}"
            raise GatewayError(kind, message, source=Source.INTERNAL, cause=error) from error
        except BaseException:
            place.close()
            raise

    # -- reading, on the loop

    def get(self, key: bytes, now_s: float) -> Entry | None:
        """What the store has of a key; None: nothing, or it has expired, or it cannot be read.

        Args:
            key: Any bytes.
            now_s: The time as `boot_s` tells it.
        """
        if self._is_away or (self._deleting and key in self._deleting):
            return None
        generation = self._generation  # the thread may open another at any moment
        if self._index.generation != generation.number:
            self._go_away(self._reopen)
            return None
        try:
            record = generation.ledger.read(stored_key(key))
            if record is None:
                return None
            cell, file, size, entry = entry_of(record)
            if entry.expires_s <= now_s:
                return None
            self._cells[cell] = int(now_s * 1e6)
            if not file:
                return entry
            view = generation.values.view(file, size)
        except (*DAMAGED, ValueError, IndexError, struct.error) as error:
            self._broken += 1
            reason = str(error)
            self._go_away(lambda: self._begin_anew(generation, reason))
            return None
        except (lmdb.Error, OSError):  # out of readers, of descriptors, of maps
            self._broken += 1
            return None
        return None if view is None else replace(entry, value=view)

    def _go_away(self, work: Callable[[], None]) -> None:
        self._is_away = True
        self._writer.run(lambda: self._recover(work))

    # -- writing, asked for on the loop

    def put(self, key: bytes, value: Buffer, meta: bytes, expires_s: float) -> Awaitable[bool]:
        """Stores a value; what is awaited says whether that came about, and never raises.

        Args:
            key: Any bytes.
            value: Left as it is by the caller until then.
            meta: What the cache wants to know of it, up to ``META_MAX`` bytes.
            expires_s: When it is nothing any more, as of `boot_s`.
        """
        if len(meta) > META_MAX:
            raise ValueError(f"expected at most {META_MAX} bytes of meta, got {len(meta)}")
        return self._ask(key, value, meta, expires_s)

    def delete(self, key: bytes) -> Awaitable[bool]:
        """Takes an entry away; from now on this process finds none. False: it could not be done in time.

        It is then done when the writer comes back; until then only this process finds nothing.
        """
        self._deleting[key] = self._deleting.get(key, 0) + 1
        if len(self._deleting) > _DELETIONS_MAX and not self._is_away:
            generation = self._generation
            self._go_away(lambda: self._begin_anew(generation, "more deletions wait than are remembered"))
        return self._ask(key, None, b"", 0.0)

    def _ask(self, key: bytes, value: Buffer | None, meta: bytes, expires_s: float) -> Awaitable[bool]:
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        write = Write(key, value, future, meta=meta, stored_s=self._clock(), expires_s=expires_s)
        return self._writer.add(write)

    def _made(self, write: Write) -> None:
        if write.value is None:
            left = self._deleting[write.key] - 1
            if left:
                self._deleting[write.key] = left
            else:
                del self._deleting[write.key]

    def _became_stuck(self, is_stuck: bool) -> None:
        if not is_stuck:
            self._say("store_back", f"the store in {self._directory.path} can be written to again", level="info")
            return
        holder = self._index.writer
        who = f"process {holder} has its lock" if holder not in (0, os.getpid()) else "its file system is slow"
        message = f"a write to the store in {self._directory.path} takes more than {self._patience_s:g} s: {who}"
        self._say("store_stuck", f"{message}; caches do without it until it comes back", holder=holder)

    def statistics(self) -> StoreStatistics:
        """Counts of the machine and of this process."""
        totals = Totals()
        with contextlib.suppress(lmdb.Error):
            totals = self._generation.ledger.totals()
        return StoreStatistics(
            *totals[:7],
            stored=self._stored,
            deleted=self._deleted,
            full=self._without_room,
            turned_away=self._writer.turned_away,
            writer_waits=self._writer.waits,
            rebuilt=self._rebuilt,
            broken=self._broken,
            waiting=self._writer.waiting,
            is_full=self._no_room_at_s is not None,
            is_stuck=self._writer.is_stuck,
            is_away=self._is_away,
        )

    def close(self, patience_s: float = CLOSE_S) -> None:
        """Makes the writes that wait, and closes the store; it is there for others, and for the next that opens it.

        Args:
            patience_s: How long writes may take; the loop stands still meanwhile. What is not made then is not stored.
        """
        is_at_rest = self._writer.close(patience_s)
        self._is_away = True
        if is_at_rest:  # else a thread stands in LMDB, and what it uses has to stay
            self._generation.ledger.close()
        self._directory.close()

    async def closed(self) -> None:
        """Closes it while the loop goes on: no more is stored from now on, and writes that wait have their time."""
        self._writer.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._writer.join, self._patience_s)
        self.close(0.0)

    # -- writing, on the thread

    def _make(self, writes: list[Write]) -> list[bool]:
        results: list[bool] = []
        try:
            if self._is_away or self._index.generation != self._generation.number:
                self._reopen()
            for is_large, some in groupby(writes, lambda write: write.size > SMALL_MAX):
                for together in [[one] for one in some] if is_large else [list(some)]:
                    try:
                        results += self._make_with_care(together)
                    except StaleGeneration:
                        self._reopen()
                        results += self._make_with_care(together)
        except (lmdb.Error, OSError, GatewayError, StaleGeneration) as error:
            self._say("store_failed", f"the store in {self._directory.path}: {error}", level="error", error=error)
        return results + [False] * (len(writes) - len(results))

    def _make_with_care(self, writes: list[Write]) -> list[bool]:
        generation = self._generation
        try:
            results = self._make_together(generation, writes)
        except DAMAGED as error:
            self._begin_anew(generation, str(error))
            return [write.value is None for write in writes]  # what was there is gone in any case
        except (lmdb.Error, OSError) as error:
            if not is_no_room(error):
                raise
            return self._make_without_room(generation, writes, error)
        if self._no_room_at_s is not None and any(results) and self._clock() - self._no_room_at_s > _ROOM_AGAIN_S:
            self._no_room_at_s = None
            self._say("store_has_room", f"the store in {self._directory.path} takes values again", level="info")
        return results

    def _make_together(self, generation: Generation, writes: list[Write]) -> list[bool]:
        if writes[0].size > SMALL_MAX:
            results = [generation.write_large(writes[0], self._clock())]
            self._copy_if_wasteful(generation)
        else:
            results = generation.write_small(writes, self._clock())
        for write, is_made in zip(writes, results, strict=True):
            self._stored += is_made and write.value is not None
            self._deleted += is_made and write.value is None
        return results

    def _make_without_room(self, generation: Generation, writes: list[Write], error: Exception) -> list[bool]:
        """One at a time; for each, something is given up, unless that was in vain a moment ago."""
        if self._no_room_at_s is None:
            message = f"no room for a value of the store in {self._directory.path}: {error}"
            self._say(
                "store_full", f"{message}; what was not used for long gives way, the rest is read on", error=error
            )
        results: list[bool] = []
        for write in writes:
            self._no_room_at_s = now_s = self._clock()
            try:
                if now_s - self._in_vain_at_s > _ROOM_AGAIN_S:
                    generation.give_up_for(write, now_s)
                results += self._make_together(generation, [write])
            except (OSError, lmdb.Error) as again:
                if not is_no_room(again):
                    raise
                self._in_vain_at_s = now_s
                self._without_room += 1
                results.append(False)
        return results

    def _copy_if_wasteful(self, generation: Generation) -> None:
        """Once in a while, and only where that gives something back: what is in the store is written anew for it."""
        now_s = self._clock()
        if now_s - self._copied_at_s < _COPY_AGAIN_S or not generation.is_wasteful():
            return
        self._copied_at_s = now_s
        with (
            contextlib.suppress(lmdb.Error, OSError, GatewayError, StaleGeneration),  # as it is, it goes on
            generation.copied(self._directory, now_s) as made,
        ):
            self._index.generation = made.number
            self._generation = made
            self._directory.remove_others(made.number)

    def _recover(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (lmdb.Error, OSError, GatewayError) as error:  # the next write tries again
            self._say("store_failed", f"the store in {self._directory.path}: {error}", level="error", error=error)

    def _reopen(self) -> None:
        """Opens the generation that is valid now."""
        with self._directory.locked(self._patience_s):
            if self._index.generation != self._generation.number:
                self._generation = self._open_valid("")
        self._is_away = False

    def _begin_anew(self, damaged: Generation, reason: str) -> None:
        """Makes a new generation, unless somebody else has done so already."""
        with self._directory.locked(self._patience_s):
            if self._index.generation == damaged.number:
                self._generation = self._make_generation(reason)
            elif self._generation is damaged:
                self._generation = self._open_valid("")
        self._is_away = False

    def _open_valid(self, reason: str) -> Generation:
        """Opens the generation that the index names; a new one where there is none, or it cannot be read."""
        number = self._index.generation
        if number:
            try:
                return Generation(self._directory, self._index, number, self._max_bytes, is_new=False)
            except (lmdb.Error, OSError) as error:
                if not is_damage(error):
                    raise
                reason = str(error)
        return self._make_generation(reason)

    def _make_generation(self, reason: str) -> Generation:
        number = self._directory.next_generation(self._index)
        made = Generation(self._directory, self._index, number, self._max_bytes, is_new=True)
        self._index.generation = number
        self._directory.remove_others(number)
        if reason:
            self._rebuilt += 1
            self._say("store_rebuilt", f"the store in {self._directory.path} is begun anew, empty: {reason}")
        return made

    def __repr__(self) -> str:
        return f"<Store {self._directory.path}, {self._generation!r}, {self._writer!r}>"
