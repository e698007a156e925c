"""Where a store lies: a directory of one gateway and one user, best on tmpfs.

    index       mapped by all: a header, and a word for each entry's last use
    N.mdb       LMDB of generation N, and its lock file
    N/          the large values of generation N

Rules:

1. The header says which generation is valid. A damaged one is not mended: the next is made beside it, and the word in
   the header changes to it with one store. Whoever has the old one open sees that at its next read, and follows; who
   waits for the old one's lock of writers sees it when he has that.
2. What was written by another version of this code, or in another boot of the machine, is not read: the index is made
   anew and takes the place of the old one. Processes of that version keep what they have open, and end with it.
3. A store is one gateway's: the header has the process that owns it, by pid and start, and while that lives no other
   gateway opens the store. Who comes after a dead one takes it over, with what is in it.
4. To open, to begin anew and to sweep takes a lock on the directory, which the kernel takes from the dead. One who is
   stopped keeps it: others wait for ``PATIENCE_S`` and say so.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import shutil
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from tidegate.errors import GatewayError, Kind, Source

__all__ = ["PATIENCE_S", "Index", "StoreDirectory", "failure"]

PATIENCE_S = 5.0
"""How long who opens a store, or begins one anew, waits for others who do."""

_MAGIC = b"TIDESTOR"
_VERSION = 1
_HEADER = struct.Struct("<8sII16s")  # magic, version, cells, boot
_HEADER_BYTES = 4096
_GENERATION = 8  # words
_WRITER = 16
_OWNER = 24  # and when that process was started
_CELLS_MIN, _CELLS_MAX = 1024, 1 << 21
_BYTES_A_CELL = 512
_LOOK_S = 0.01


class Index:
    """The file that all map: which generation is valid, who writes, and when each entry was last used."""

    def __init__(self, fd: int) -> None:
        size = os.fstat(fd).st_size
        if size < _HEADER_BYTES:
            raise ValueError(f"the index has {size} bytes")
        self._map = mmap.mmap(fd, size)
        magic, version, cells, boot = _HEADER.unpack_from(self._map)
        if (magic, version, boot) != (_MAGIC, _VERSION, _boot()) or size != _HEADER_BYTES + cells * 8:
            raise ValueError(f"the index is of version {version}, of another boot, or none")
        self.words = memoryview(self._map).cast("Q")
        self.cells = self.words[_HEADER_BYTES // 8 :]

    @property
    def generation(self) -> int:
        """The generation that is valid; 0: none was made yet."""
        generation: int = self.words[_GENERATION]
        return generation

    @generation.setter
    def generation(self, generation: int) -> None:
        self.words[_GENERATION] = generation

    @property
    def writer(self) -> int:
        """The pid of who has the lock of writers, for a message; 0: nobody."""
        pid: int = self.words[_WRITER]
        return pid

    @writer.setter
    def writer(self, pid: int) -> None:
        self.words[_WRITER] = pid

    def take_over(self, owner: int) -> int:
        """Makes a process the store's owner, with the lock held; the pid of another one that lives and is, else 0."""
        known: int = self.words[_OWNER]
        if known not in (0, owner) and _started(known) == self.words[_OWNER + 1]:
            return known
        self.words[_OWNER] = owner
        self.words[_OWNER + 1] = _started(owner)
        return 0


class StoreDirectory:
    """The directory of a store, made if it is not there and found to be ours alone.

    Raises:
        GatewayError: It cannot be made, belongs to somebody else, or is open to others.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise failure(error, f"cannot make the store's directory {path}") from error
        found = os.fstat(self._fd)
        wrong = ""
        if found.st_uid != os.geteuid():
            wrong = "belongs to another user (give it to this one, or name another directory)"
        elif stat.S_IMODE(found.st_mode) & 0o077:
            wrong = "is open to other users (chmod 700, or remove it)"
        if wrong:
            self.close()
            raise GatewayError(
                Kind.PROXY_CONFIGURATION_ERROR, f"the store's directory {path} {wrong}", source=Source.INTERNAL
            )

    @contextlib.contextmanager
    def locked(self, patience_s: float = PATIENCE_S) -> Iterator[None]:
        """Holds the lock on the directory.

        Raises:
            GatewayError: Somebody else has held it for all of ``patience_s``.
        """
        deadline = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    message = (
                        f"the store in {self.path} has been locked for {patience_s:g} s by a process that opens it"
                    )
                    raise GatewayError(
                        Kind.PROXY_INTERNAL_ERROR, f"{message}: is it stopped?", source=Source.INTERNAL
                    ) from error
                time.sleep(_LOOK_S)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def open_index(self, max_bytes: int) -> tuple[Index, str]:
        """The index, and why it was made anew if there was another; to be called with the lock held."""
        path = self.path / "index"
        reason = ""
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            pass
        else:
            try:
                return Index(fd), ""
            except (ValueError, OSError) as error:
                reason = str(error)
            finally:
                os.close(fd)
        return self._make_index(path, max_bytes), reason

    def _make_index(self, path: Path, max_bytes: int) -> Index:
        # Numbers of generations are not used twice: who has an old one open must not take the new one for it.
        latest = max(self.generations(), default=0)
        cells = min(max(max_bytes // _BYTES_A_CELL, _CELLS_MIN), _CELLS_MAX)
        beside = path.with_name("index-beside")
        beside.unlink(missing_ok=True)
        fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(fd, 0, _HEADER_BYTES + cells * 8)  # it is written through a map: never a hole
            os.pwrite(fd, _HEADER.pack(_MAGIC, _VERSION, cells, _boot()), 0)
            index = Index(fd)
            index.words[_GENERATION + 1] = latest
            beside.rename(path)
        finally:
            os.close(fd)
        return index

    def next_generation(self, index: Index) -> int:
        """A number that no generation has had; with the lock held."""
        latest: int = max(index.words[_GENERATION + 1], index.generation, *self.generations(), 0)
        index.words[_GENERATION + 1] = latest + 1
        return latest + 1

    def generations(self) -> list[int]:
        """The numbers of all generations of which something lies there."""
        names = {name.removesuffix("-lock").removesuffix(".mdb") for name in os.listdir(self.path)}  # noqa: PTH208
        return sorted(int(name) for name in names if name.isdecimal())

    def remove_others(self, generation: int) -> None:
        """Removes all generations but one; who has one open keeps what is open."""
        for other in self.generations():
            if other != generation:
                shutil.rmtree(self.values_of(other), ignore_errors=True)
                for path in (self.ledger_of(other), self.path / f"{other}.mdb-lock"):
                    path.unlink(missing_ok=True)

    def ledger_of(self, generation: int) -> Path:
        """LMDB's file of a generation."""
        return self.path / f"{generation}.mdb"

    def values_of(self, generation: int) -> Path:
        """The directory of the large values of a generation."""
        return self.path / str(generation)

    def close(self) -> None:
        """Closes the descriptor by which it is locked."""
        os.close(self._fd)

    def __repr__(self) -> str:
        return f"<StoreDirectory {self.path}>"


def failure(error: OSError, what: str) -> GatewayError:
    """What an error of the operating system about a store is: our exhaustion, or something the operator has to mend."""
    is_exhausted = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
    kind = Kind.GATEWAY_EXHAUSTED if is_exhausted else Kind.PROXY_CONFIGURATION_ERROR
    return GatewayError(kind, f"{what}: {error.strerror or error}", source=Source.INTERNAL, cause=error)


def _started(pid: int) -> int:
    """When a process was started, in clock ticks since boot; with its pid that is no other. 0: it is dead."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    state, *others = facts.rpartition(")")[2].split()
    return 0 if state == "Z" else int(others[18])


def _boot() -> bytes:
    """Which boot of the machine this is."""
    return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))
