"""The tier of the machine: values that all workers share, and that outlive every one of them.

It lies in a directory of this gateway alone, in memory, with a file of generations beside the store: what was
invalidated before a restart is invalidated after it. A look-up is synchronous: who finds a value here waits for
nothing. Only what is so large that a copy of it would hold the loop is copied in steps.
"""

import asyncio
import mmap
import os
import stat
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import msgspec

from tidegate.cache.assembly import Assembly
from tidegate.cache.codec import Codec, decoded
from tidegate.cache.freshness import Lifetimes
from tidegate.cache.names import wire
from tidegate.cache.shelf import Entry, Key
from tidegate.cache.statistics import MachineStatistics
from tidegate.errors import GatewayError, Kind, Source
from tidegate.memory.generations import GENERATIONS_SIZE, Generations
from tidegate.memory.store import Store, StoreStatistics, boot_s
from tidegate.memory.store.record import META_MAX

__all__ = ["AT_ONCE", "Large", "MachineTier", "directory_for"]

AT_ONCE: Final = 1 << 20
"""Bytes that are copied in one go, which takes half a millisecond."""
_STEP: Final = 256 << 10  # of what is larger: an answer is there after two turns of the loop


class _Meta(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a value; ``fresh_until`` on the store's clock, ``size`` at hand."""

    fresh_until: float
    size: int
    load_s: float
    is_negative: bool
    tags: tuple[str, ...]
    slots: tuple[int, ...]
    marks: tuple[int, ...]


_decode = msgspec.msgpack.Decoder(_Meta).decode
_encode = msgspec.msgpack.Encoder().encode


class Large(NamedTuple):
    """A value of more than `AT_ONCE` bytes that was found: what is known of it, and where it lies."""

    meta: bytes
    value: memoryview


class MachineTier:
    """The values of one cache that the machine has; `open` makes one.

    Args:
        store: Where they are.
        generations: Of this cache alone, beside them.
    """

    def __init__(self, store: Store, generations: Generations) -> None:
        self.generations = generations
        self._store = store
        self._hits = self._misses = 0

    @classmethod
    def open(cls, directory: Path, max_bytes: int, say: Callable[..., None]) -> Self:
        """Opens what is in ``directory``, which is made if it is not there. Raises GatewayError when it cannot be."""
        try:
            _own(directory.parent)
            # The supervisor's, which an upgrade keeps: its workers share the store, those of another gateway may not.
            store = Store.open(directory, max_bytes, say=say, owner=os.getppid())
            return cls(store, Generations(_mapped(directory / "generations")))
        except OSError as error:
            what = f"cannot keep the cache of the machine in {directory}"
            raise GatewayError.from_os_error(error, what, connected=False) from error

    def find(
        self, key: Key, now: float, lifetimes: Lifetimes, codec: Codec, copied: tuple[bytes, Any] | None = None
    ) -> Entry | Large | None:
        """The entry of ``key``, which may have ended; None when there is none, or it was invalidated.

        What is larger than `AT_ONCE` is only shown; `copy` makes an entry of it.

        Args:
            key: Of the value.
            now: The time on the shelf's clock.
            lifetimes: Say how long it is given out after its end.
            codec: Of the value.
            copied: What was known of the large value that was shown before, and the value.
        """
        boot = boot_s()
        stored = self._store.get(wire(key), boot)
        if stored is not None:
            try:
                meta = _decode(stored.meta)
                if self.generations.hold(meta.slots, meta.marks):
                    data = stored.value
                    if copied is not None and copied[0] == stored.meta:
                        value = copied[1]
                    elif not isinstance(data, bytes) and len(data) > AT_ONCE:
                        return Large(stored.meta, data)
                    else:
                        value = None if meta.is_negative else codec.decode(bytes(data))  # of bytes no copy
                    self._hits += 1
                    times = lifetimes.rest(now, now, meta.fresh_until - boot, meta.load_s, is_negative=meta.is_negative)
                    return Entry(key, value, meta.size, times, now, meta.tags, meta.slots, meta.marks, meta.load_s)
            except (msgspec.MsgspecError, ValueError, IndexError, OverflowError, RecursionError):
                pass  # of another version, or damaged: it is as good as none
        self._misses += 1
        return None

    async def copy(self, key: Key, large: Large, now: float, lifetimes: Lifetimes, codec: Codec) -> Entry | None:
        """The entry of what `find` has shown; None when it was invalidated or replaced since."""
        whole = Assembly(len(large.value))
        for at in range(0, whole.size, _STEP):
            whole.add(large.value[at : at + _STEP])
            await asyncio.sleep(0)
        try:
            value = await decoded(codec, whole.take())
        except (ValueError, RecursionError):
            return None  # damaged
        found = self.find(key, now, lifetimes, codec, (large.meta, value))
        return found if isinstance(found, Entry) else None

    def touch(self, key: Key) -> None:
        """Tells the store that a value of it is in use, which somebody has at hand."""
        self._store.get(wire(key), boot_s())

    def put(self, entry: Entry, data: bytes, now: float) -> Awaitable[bool]:
        """Stores an entry; what is awaited says whether that came about, and never raises."""
        boot = boot_s()
        meta = _encode(
            _Meta(
                boot + entry.fresh_until - now,
                entry.size,
                entry.load_s,
                entry.value is None,
                entry.tags,
                entry.slots,
                entry.marks,
            )
        )
        if len(meta) > META_MAX:
            raise ValueError(f"what is known of {entry.key!r} takes {len(meta)} bytes, {META_MAX} is the bound")
        return self._store.put(wire(entry.key), data, meta, boot + entry.error_until - now)

    async def drop(self, key: Key) -> None:
        """Takes a value away; it has been invalidated, so that nobody finds it meanwhile."""
        await self._store.delete(wire(key))

    def close(self) -> None:
        """Ends this process's part of it; the loop waits for a second at most."""
        self._store.close()

    async def closed(self) -> None:
        """Ends it while the loop goes on; it may be opened again then."""
        await self._store.closed()

    def store_statistics(self) -> StoreStatistics:
        """What the store says of itself."""
        return self._store.statistics()

    def statistics(self) -> MachineStatistics:
        """What this worker has asked, and what the machine has."""
        store = self._store.statistics()
        return MachineStatistics(
            hits=self._hits,
            misses=self._misses,
            entries=store.entries,
            bytes=store.bytes,
            evictions=store.evictions,
            stored=store.stored,
            refused=store.full + store.turned_away,
            rebuilt=store.rebuilt,
        )

    def __repr__(self) -> str:
        return f"<MachineTier {self.statistics()}>"


def directory_for(origin: str) -> Path:
    """Where the caches of a gateway lie: below ``$TIDEGATE_RUNTIME_DIR``, or the user's own directory in ``/dev/shm``.

    Args:
        origin: What tells gateways of one user apart, such as the file of the configuration.
    """
    mark = sha256(os.fsencode(origin)).hexdigest()[:16]
    if chosen := os.environ.get("TIDEGATE_RUNTIME_DIR"):
        return Path(chosen) / "caches" / mark
    return Path(f"/dev/shm/tidegate-{os.geteuid()}") / mark  # noqa: S108 - `_own` refuses one that is not ours


def _own(directory: Path) -> None:
    """Makes the directory; GatewayError when others could exchange what is in it."""
    for one in (directory.parent, directory):
        one.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = one.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
            what = f"{one} is no directory of this user alone (remove it, or set TIDEGATE_RUNTIME_DIR)"
            raise GatewayError(Kind.PROXY_CONFIGURATION_ERROR, what, source=Source.INTERNAL)


def _mapped(file: Path) -> mmap.mmap:
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if os.fstat(fd).st_size < GENERATIONS_SIZE:  # zeros are a beginning, whoever of several makes it
            os.ftruncate(fd, GENERATIONS_SIZE)
            # Room now: a page that finds none later would be the end of the process.
            os.posix_fallocate(fd, 0, GENERATIONS_SIZE)
        return mmap.mmap(fd, GENERATIONS_SIZE)
    finally:
        os.close(fd)
