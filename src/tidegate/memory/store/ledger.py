"""What is in a store, in LMDB: entries, in which order they were used, when they expire, and what they weigh.

Rules:

1. Everything that has to agree is changed in one transaction, so that a process killed at any moment leaves a store
   that is as before or as after. LMDB's lock of writers passes from a killed holder to the next.
2. A read copies inside its transaction. No view of the map leaves this module: one that is kept past its transaction
   shows what was written there later, which may be another user's.
3. Each entry has a cell, a word of shared memory that is outside of LMDB, where a read leaves its time. So reads write
   no pages and take no lock.
4. Entries are evicted in the order of their last use, exactly: the order has each under a time that is not later than
   that. The first of it whose cell says the same time was used longest ago, as all others were ordered, and used, no
   earlier; one that was used since it was ordered is ordered anew on the way.
5. A record's file is unlinked after the commit that took its entry away, and a file has its number before the commit
   that names it. Numbers are those of committed transactions, so that none is used for two values that were both seen.

All is in LMDB's main table, told apart by the first byte of the key, because to open another takes the lock of writers,
which a stopped process may hold when this one starts::

    e key               the record of an entry
    c cell              of that entry: ordered at, expires at, weight, file; its key
    o time cell         the order, in microseconds
    d time cell         when entries expire, in milliseconds
    f cell              free cells that were used before
    l number            files
    t                   the sums

LMDB's file never shrinks. What it has is used again as soon as no reader looks at the transaction that freed it.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple, Self

import lmdb

from tidegate.memory.store.record import Buffer, Head, pack, unpack

__all__ = ["Change", "Ledger", "Totals", "room_for"]

_ENTRY, _TOTALS_KEY = b"e", b"t"
_TOTALS = struct.Struct("<9Q")
_CELL = struct.Struct("<QQQQ")  # what is known of a cell; its key comes behind
_NUMBERED = struct.Struct(">cI")
_TIMED = struct.Struct(">cQI")
_FILE = struct.Struct(">cQ")
_LOCK_BYTES = 64 * 1024  # room for 1,000 readers
_PAGE = 4096
_IN_PAGE_MAX = 2000  # a record beyond has pages of its own
_OVERHEAD = 300  # what the other tables need for an entry, half empty pages included
_LOOKS_MAX = 512  # in one transaction: others wait for its lock
_EXPIRATIONS_MAX = 32
_LATEST_S = 1e12


class Totals(NamedTuple):
    """Sums over the entries, kept in the same transactions. ``file``: the number of the next large value."""

    entries: int = 0
    bytes: int = 0
    small: int = 0
    large: int = 0
    large_bytes: int = 0
    evictions: int = 0
    expirations: int = 0
    cells: int = 0  # that were ever used
    file: int = 1


def room_for(max_bytes: int) -> int:
    """Bytes of the map, for entries of so many: pages are half empty at worst after much coming and going."""
    return max_bytes + max_bytes // 2 + (4 << 20)


def weigh(key: bytes, record_size: int, file_size: int) -> int:
    """Bytes that an entry counts for: what it takes in LMDB's pages, and in whole pages for its file."""
    node = len(key) + record_size + 16
    in_pages = node if node <= _IN_PAGE_MAX else (record_size + 16 + _PAGE - 1) // _PAGE * _PAGE + len(key)
    return in_pages + (file_size + _PAGE - 1) // _PAGE * _PAGE + len(key) + _OVERHEAD


class Ledger:
    """One generation of a store. Reads are of one thread, changes of another.

    Args:
        path: Of LMDB's file; its lock file is beside it.
        max_bytes: Bound of what all entries weigh together.
        cells: Words of shared memory, one for each entry: the time of its last use in microseconds.
        is_new: Makes it; nobody else may open it meanwhile.

    Raises:
        lmdb.Error: It cannot be opened, or is no store.
        OSError: There is no room for it.
    """

    def __init__(self, path: Path, max_bytes: int, cells: memoryview, *, is_new: bool) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._cells = cells
        _reserve(path.with_name(path.name + "-lock"))
        self.environment = lmdb.open(
            str(path),
            subdir=False,
            map_size=room_for(max_bytes),
            mode=0o600,
            create=is_new,
            metasync=False,
            sync=False,  # it lies in memory, and a store that a crash of the machine has damaged is begun anew
            readahead=False,
            writemap=False,  # a full file system is an error of a write, not a signal at an access
            max_spare_txns=2,
        )
        self._begin_read = self.environment.begin
        try:
            self._begin(is_new=is_new)
        except BaseException:
            self.environment.close()
            raise

    def _begin(self, *, is_new: bool) -> None:
        if is_new:
            with self.environment.begin(write=True) as txn:
                txn.put(_TOTALS_KEY, _TOTALS.pack(*Totals()))
        # If the file is too short, the first look at what is missing would be a signal.
        pages = self.environment.info()["last_pgno"] + 1
        if self.path.stat().st_size < pages * self.environment.stat()["psize"]:
            raise lmdb.CorruptedError("the file is shorter than what is in it")
        # This takes a place among the readers, which is kept, so that no later read takes the lock of that table.
        self.totals()

    def read(self, key: bytes) -> bytes | None:
        """A copy of the record of a key."""
        # The transaction ends when nobody refers to it, which is here; a ``with`` is a third of what this costs.
        return self._begin_read().get(_ENTRY + key)

    def totals(self) -> Totals:
        """The sums as of the latest commit."""
        with self.environment.begin() as txn:
            return _totals(txn.get(_TOTALS_KEY))

    def names_file(self, number: int) -> bool:
        """Whether an entry names this file, or one that is being stored now may."""
        with self.environment.begin() as txn:
            return number >= _totals(txn.get(_TOTALS_KEY)).file or txn.get(_FILE.pack(b"l", number)) is not None

    def change(self, now_s: float) -> Change:
        """Begins a transaction; waits for the lock of writers."""
        return Change(self, now_s)

    def file_bytes(self) -> int:
        """What LMDB's file takes of its file system."""
        return os.stat(self.path).st_blocks * 512  # noqa: PTH116 - of the file that lies there, whoever reads it

    def close(self) -> None:
        """Closes it; nothing of it may be in use."""
        self.environment.close()

    def __repr__(self) -> str:
        return f"<Ledger {self.path.name}, {self.totals().entries} entries>"


class Change:
    """One transaction that writes, and the files it has no more use for once it is committed.

    ``with ledger.change(now_s) as change`` commits at the end, and changes nothing where something is raised.
    """

    def __init__(self, ledger: Ledger, now_s: float) -> None:
        self._ledger = ledger
        self._now_us = int(now_s * 1e6)
        self._txn = ledger.environment.begin(write=True, buffers=True)
        self.unlinked: list[int] = []
        try:
            self.totals = _totals(self._txn.get(_TOTALS_KEY))
        except BaseException:
            self._txn.abort()
            raise

    def make_room(self, weight: int) -> bool:
        """Evicts until so many bytes more may be stored; False: not yet, commit this and go on in another change.

        What has expired goes first. One change looks at a bounded number of entries, as others wait for its lock. Those
        that make room for one value have the same ``now_s``: then each entry is ordered anew once at most, and hot ones
        in any number cannot keep this from ending.
        """
        self._expire()
        for _ in range(_LOOKS_MAX):
            if self.has_room(weight):
                return True
            self.evict_or_order()
        return self.has_room(weight)

    def has_room(self, weight: int) -> bool:
        """Whether so many bytes more are within the bounds."""
        ledger = self._ledger
        has_cell = self.totals.cells < len(ledger._cells) or self.totals.entries < self.totals.cells  # noqa: SLF001
        return self.totals.bytes + weight <= ledger.max_bytes and has_cell

    def put(self, key: bytes, head: Head, meta: bytes, value: Buffer) -> None:
        """Stores an entry in the place of what was there; room has been made. The head's cell is chosen here."""
        ledger, txn = self._ledger, self._txn
        self.remove(key)
        cell = self._take_cell()
        record = pack(head._replace(cell=cell), meta, value)
        used_us = int(head.stored_s * 1e6)
        expires_ms = _milliseconds(head.expires_s)
        weight = weigh(key, len(record), head.value_size if head.file else 0)
        txn.put(_ENTRY + key, record)
        txn.put(_NUMBERED.pack(b"c", cell), _CELL.pack(used_us, expires_ms, weight, head.file) + key)
        txn.put(_TIMED.pack(b"o", used_us, cell), b"")
        txn.put(_TIMED.pack(b"d", expires_ms, cell), b"")
        if head.file:
            txn.put(_FILE.pack(b"l", head.file), b"")
        ledger._cells[cell] = used_us  # noqa: SLF001 - one class in two: what is open, and a change of it
        self._add(weight, head.file and weight, 1)

    def next_file(self) -> int:
        """The number of a large value that is stored in this change."""
        number = self.totals.file
        self.totals = self.totals._replace(file=number + 1)
        return number

    def remove(self, key: bytes) -> bool:
        """Takes an entry away; False: there was none."""
        record = self._txn.get(_ENTRY + key)
        if record is None:
            return False
        self._remove_cell(_head(record).cell)
        return True

    def evict_or_order(self) -> bool:
        """Looks at the entry that is first in order: takes it away, or orders it anew if it was used since.

        Returns whether it was taken away; ``lmdb.CorruptedError`` when there is none.
        """
        txn = self._txn
        at = self._first(b"o")
        if at is None:
            raise lmdb.CorruptedError("there is neither room nor anything to evict")
        _, ordered_us, cell = _TIMED.unpack(at)
        used_us = min(self._used(cell), self._now_us)
        if used_us <= ordered_us:
            self._remove_cell(cell)
            self.totals = self.totals._replace(evictions=self.totals.evictions + 1)
            return True
        known = self._cell(cell)
        txn.delete(at)
        txn.put(_TIMED.pack(b"o", used_us, cell), b"")
        moved = _CELL.pack(used_us, *_CELL.unpack_from(known)[1:]) + known[_CELL.size :]
        txn.put(_NUMBERED.pack(b"c", cell), moved)
        return False

    def commit(self) -> None:
        """Writes it; what is in ``unlinked`` may then be unlinked."""
        self._txn.put(_TOTALS_KEY, _TOTALS.pack(*self.totals))
        self._txn.commit()

    def abort(self) -> None:
        """Forgets it."""
        self._txn.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.abort()

    def _expire(self) -> None:
        for _ in range(_EXPIRATIONS_MAX):
            at = self._first(b"d")
            if at is None:
                return
            _, expires_ms, cell = _TIMED.unpack(at)
            if expires_ms * 1000 > self._now_us:
                return
            self._remove_cell(cell)
            self.totals = self.totals._replace(expirations=self.totals.expirations + 1)

    def _remove_cell(self, cell: int) -> None:
        txn = self._txn
        known = self._cell(cell)
        ordered_us, expires_ms, weight, file = _CELL.unpack_from(known)
        txn.delete(_ENTRY + known[_CELL.size :])
        txn.delete(_NUMBERED.pack(b"c", cell))
        txn.delete(_TIMED.pack(b"o", ordered_us, cell))
        txn.delete(_TIMED.pack(b"d", expires_ms, cell))
        txn.put(_NUMBERED.pack(b"f", cell), b"")
        if file:
            txn.delete(_FILE.pack(b"l", file))
            self.unlinked.append(file)
        self._add(-weight, file and -weight, -1)

    def _first(self, kind: bytes) -> bytes | None:
        """The first key of a kind."""
        with self._txn.cursor() as cursor:
            if not cursor.set_range(kind):
                return None
            at = bytes(cursor.key())
        return at if at.startswith(kind) else None

    def _cell(self, cell: int) -> bytes:
        known = self._txn.get(_NUMBERED.pack(b"c", cell))
        if known is None or len(known) <= _CELL.size:
            raise lmdb.CorruptedError(f"cell {cell} is used and not written down")
        return bytes(known)

    def _used(self, cell: int) -> int:
        try:
            used: int = self._ledger._cells[cell]  # noqa: SLF001
        except IndexError as error:
            raise lmdb.CorruptedError(f"there is no cell {cell}") from error
        return used

    def _take_cell(self) -> int:
        at = self._first(b"f")
        if at is not None:
            self._txn.delete(at)
            cell: int = _NUMBERED.unpack(at)[1]
            return cell
        self.totals = self.totals._replace(cells=self.totals.cells + 1)
        return self.totals.cells - 1

    def _add(self, weight: int, large_weight: int, sign: int) -> None:
        was = self.totals
        self.totals = was._replace(
            entries=was.entries + sign,
            bytes=was.bytes + weight,
            small=was.small + (0 if large_weight else sign),
            large=was.large + (sign if large_weight else 0),
            large_bytes=was.large_bytes + large_weight,
        )


def _head(record: memoryview | bytes) -> Head:
    try:
        return unpack(record)
    except ValueError as error:
        raise lmdb.CorruptedError(str(error)) from error


def _totals(written: bytes | memoryview | None) -> Totals:
    if written is None or len(written) != _TOTALS.size:
        raise lmdb.CorruptedError("the sums are not there")
    return Totals(*_TOTALS.unpack(written))


def _milliseconds(moment_s: float) -> int:
    return int(min(max(moment_s, 0.0), _LATEST_S) * 1000)


def _reserve(path: Path) -> None:
    """Makes the lock file as long as it will be: it is written through a map, where want of room would be a signal."""
    if path.exists() and path.stat().st_blocks * 512 >= _LOCK_BYTES:
        return  # and to close it would take the locks away that this process has on it, if it is open here
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.posix_fallocate(fd, 0, _LOCK_BYTES)
    finally:
        os.close(fd)
