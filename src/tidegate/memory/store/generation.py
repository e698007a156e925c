"""One generation of a store: its ledger and its files, changed together.

Everything here but reading is the writer's: it waits for LMDB's lock of writers.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator

import lmdb

from tidegate.memory.store.directory import Index, StoreDirectory
from tidegate.memory.store.large import LargeValues
from tidegate.memory.store.ledger import Change, Ledger, weigh
from tidegate.memory.store.record import SMALL_MAX, Head, record_size, stored_key
from tidegate.memory.store.writer import Write

__all__ = ["DAMAGED", "Generation", "StaleGeneration", "is_damage", "is_no_room"]

DAMAGED = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.PanicError,
    lmdb.VersionMismatchError,
    lmdb.IncompatibleError,
    lmdb.NotFoundError,
)
"""What LMDB says of a file that is not, or no more, what it has written."""

_SPARE_BYTES = 4 << 20
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # LMDB says EIO of a write that was cut short


def is_no_room(error: Exception) -> bool:
    """Whether a write failed for want of room: in the file system, or in the map."""
    if isinstance(error, lmdb.MapFullError | lmdb.TxnFullError | lmdb.DiskError):
        return True
    number = error.errno if isinstance(error, OSError) else getattr(error, "code", 0)
    return number in _NO_ROOM


def is_damage(error: Exception) -> bool:
    """Whether what was to be opened is damaged, or part of it is gone; if not, to open it again may help."""
    number = error.errno if isinstance(error, OSError) else getattr(error, "code", 0)
    return isinstance(error, DAMAGED) or number == errno.ENOENT


class StaleGeneration(Exception):
    """Another generation became valid while this one's lock of writers was waited for; nothing was written."""


class Generation:
    """What is open of a store.

    Args:
        directory: Of the store; its lock is held.
        index: Its index.
        number: Of this generation.
        max_bytes: Bound of what all entries weigh together.
        is_new: Makes it.

    Raises:
        lmdb.Error: It is damaged (``DAMAGED``), or cannot be opened.
        OSError: There is no room, or not what should be there.
    """

    def __init__(self, directory: StoreDirectory, index: Index, number: int, max_bytes: int, *, is_new: bool) -> None:
        self.number = number
        self._index = index
        self._max_bytes = max_bytes
        self.values = LargeValues(directory.values_of(number))
        if is_new:
            self.values.directory.mkdir(mode=0o700)
        elif not self.values.directory.is_dir():
            raise lmdb.CorruptedError("the directory of its large values is missing")
        self.ledger = Ledger(directory.ledger_of(number), max_bytes, index.cells, is_new=is_new)
        self.clear_dead()

    def clear_dead(self) -> None:
        """Ends what killed processes have left: readers, which keep pages from being used again, and files."""
        self.ledger.environment.reader_check()
        self.values.sweep(self.ledger.names_file)

    def write_small(self, writes: list[Write], now_s: float) -> list[bool]:
        """Makes writes of small values and deletions in one transaction; for each whether it came about.

        Raises:
            lmdb.Error: As `is_no_room` or ``DAMAGED`` tell; nothing of the last transaction came about.
        """
        change = self._begin(now_s)
        results = []
        try:
            for write in writes:
                key = stored_key(write.key)
                if write.value is None:
                    change.remove(key)
                    results.append(True)
                    continue
                weight = weigh(key, record_size(write.meta, write.size), 0)
                is_made = write.is_wanted() and weight <= self._max_bytes
                if is_made:
                    change = self._with_room(change, weight, now_s)
                    change.put(key, _head(write, 0), write.meta, write.value)
                results.append(is_made)
            self._finish(change)
        except BaseException:
            self._abort(change)
            raise
        return results

    def write_large(self, write: Write, now_s: float) -> bool:
        """Stores a large value: room is made, its file is written with no lock held, then it becomes an entry.

        Raises:
            OSError: There is no room for its file.
            lmdb.Error: As of `write_small`.
        """
        if write.value is None:
            raise ValueError("a deletion has no large value")
        key = stored_key(write.key)
        weight = weigh(key, record_size(write.meta, 0), write.size)
        if not write.is_wanted() or weight > self._max_bytes:
            return False
        with self._changing(now_s) as hold:
            hold(weight)
        try:
            name = self.values.write(write.value)
        except FileNotFoundError:
            raise StaleGeneration from None
        try:
            with self._changing(now_s) as hold:
                change = hold(weight)
                if write.is_wanted():
                    number = change.next_file()
                    self.values.take(name, number)
                    name = str(number)
                    change.put(key, _head(write, number), write.meta, b"")
                    return True
        except BaseException:
            self.values.discard(name)
            raise
        self.values.discard(name)
        return False

    def give_up_for(self, write: Write, now_s: float) -> None:
        """Evicts what a write needs, where that can make room for it in the file system or in the map.

        LMDB's file does not shrink, so that a large value finds no room by it unless other large ones go.
        """
        self.ledger.environment.reader_check()
        totals = self.ledger.totals()
        is_large = write.size > SMALL_MAX
        if is_large and totals.large_bytes < write.size:
            return
        record = record_size(write.meta, 0 if is_large else write.size)
        weight = weigh(stored_key(write.key), record, write.size if is_large else 0)
        with self._changing(now_s) as hold:
            hold(self._max_bytes - max(totals.bytes - weight, 0))
        with self._changing(now_s):
            pass  # pages that a transaction has freed may be used by the next but one

    def is_wasteful(self) -> bool:
        """Whether LMDB's file, which does not shrink, takes room of large values and is for the most part empty."""
        totals, in_file = self.ledger.totals(), self.ledger.file_bytes()
        is_beyond = in_file + totals.large_bytes > self._max_bytes + self._max_bytes // 4 + _SPARE_BYTES
        return is_beyond and in_file > 2 * (totals.bytes - totals.large_bytes)

    @contextlib.contextmanager
    def copied(self, directory: StoreDirectory, now_s: float) -> Iterator[Generation]:
        """The next generation, with all that is in this one in a file of its size; nobody writes meanwhile.

        Args:
            directory: Of the store; its lock is taken.
            now_s: The time.

        Raises:
            StaleGeneration: Somebody else has made another one valid.
            lmdb.Error, OSError: There is no room for both; nothing is left of the next.
        """
        change = self._begin(now_s)
        try:
            with directory.locked():
                self._check()
                number = directory.next_generation(self._index)
                try:
                    beside = directory.values_of(number)
                    beside.mkdir(mode=0o700)
                    for path in self.values.directory.iterdir():
                        if path.name.isdecimal():
                            (beside / path.name).hardlink_to(path)
                    self.ledger.environment.copy(str(directory.ledger_of(number)), compact=True)
                    yield Generation(directory, self._index, number, self._max_bytes, is_new=False)
                except BaseException:
                    directory.remove_others(self.number)
                    raise
        finally:
            self._abort(change)

    @contextlib.contextmanager
    def _changing(self, now_s: float) -> Iterator[Callable[[int], Change]]:
        """A transaction that is committed at the end; what is yielded makes room in it, or in one that follows it."""
        change = self._begin(now_s)

        def with_room(weight: int) -> Change:
            nonlocal change
            change = self._with_room(change, weight, now_s)
            return change

        try:
            yield with_room
            self._finish(change)
        except BaseException:
            self._abort(change)
            raise

    def _with_room(self, change: Change, weight: int, now_s: float) -> Change:
        while not change.make_room(weight):
            self._finish(change)
            change = self._begin(now_s)
        return change

    def _begin(self, now_s: float) -> Change:
        change = self.ledger.change(now_s)
        try:
            self._check()
        except StaleGeneration:
            change.abort()
            raise
        self._index.writer = os.getpid()
        return change

    def _check(self) -> None:
        if self._index.generation not in (self.number, 0):  # 0: the first one, before it is valid
            raise StaleGeneration

    def _finish(self, change: Change) -> None:
        self._index.writer = 0
        change.commit()
        self.values.remove(change.unlinked)

    def _abort(self, change: Change) -> None:
        self._index.writer = 0
        change.abort()

    def __repr__(self) -> str:
        return f"<Generation {self.number} of {self.values.directory.parent}>"


def _head(write: Write, file: int) -> Head:
    return Head(0, len(write.meta), write.size, file, write.stored_s, write.expires_s)
