"""A process that uses the machine store as hard as it can, and checks all that it reads: started by ``store``.

Its keys are its own, by its number, so that it knows which value each should have. Every value says whose it is and
which turn of it, and the rest of it follows from that. What it finds wrong is a line that begins with ``finding``.

SIGUSR1 has it stand still in the middle of a read, SIGUSR2 in the middle of a write, with the lock of writers.
"""

import asyncio
import contextlib
import hashlib
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tidegate.memory.store import Store, boot_s
from tidegate.memory.store.ledger import Change

KEYS = 150
SIZES = (10, 500, 3_000, 20_000, 65_536, 65_537, 400_000, 2_000_000)
WEIGHTS = ((30, 30, 20, 20, 8, 2, 0, 0), (10, 10, 10, 0, 0, 20, 20, 10))
TURN_S = 20  # they take turns, so that small values give way to large ones and back
MARK_BYTES = 16
TELL_S = 0.5


def tell(line: str) -> None:
    """Says a line in one piece: the loop and the thread that writes both do."""
    os.write(1, f"{line}\n".encode())


def value_of(key: bytes, turn: int, size: int) -> bytes:
    """The value of a turn: its number, and bytes that follow from key and number."""
    digest = hashlib.sha256(b"%b %d" % (key, turn)).digest()
    return (b"%016d" % turn + digest * (size // 32 + 1))[: max(size, MARK_BYTES)]


def turn_of(key: bytes, value: bytes | memoryview) -> int | None:
    """The turn that a value is of; None when it is not what that key has ever had."""
    mark = bytes(value[:MARK_BYTES])
    if not mark.isdigit():
        return None
    return int(mark) if value == value_of(key, int(mark), len(value)) else None


class Worker:
    """What one process knows of its keys."""

    def __init__(self, store: Store, number: int, seed: int, share: float) -> None:
        self.store = store
        self.share = share
        self.number = number
        self.chance = random.Random(seed)
        self.turn = int(time.time() * 1e6)
        self.asked: dict[bytes, set[int]] = {}  # turns that may be there: stored, or tried since
        self.stored_at: dict[bytes, int] = {}  # evictions and expirations of the machine when it was stored
        self.reads = self.hits = self.puts = self.failed = self.deletes = 0
        self.held: list[Any] = []

    def gone(self) -> int:
        """How many entries the machine has given up."""
        seen = self.store.statistics()
        return seen.evictions + seen.expirations

    def read(self, key: bytes) -> None:
        """Reads a key and tells what is wrong."""
        entry = self.store.get(key, boot_s())
        self.reads += 1
        if entry is None:
            at = self.stored_at.get(key)
            if at is not None and self.gone() == at and self.is_lost(key):
                tell(f"finding {key!r} was stored and is lost, nothing was evicted since")
            self.stored_at.pop(key, None)
            return
        self.hits += 1
        turn = turn_of(key, entry.value)
        if turn is None or entry.meta != key:
            tell(f"finding {key!r} has a value of {len(entry.value)} bytes that is not its own")
        elif key in self.asked and turn not in self.asked[key]:
            tell(f"finding {key!r} has turn {turn}, not one of {self.asked[key]}")
        if isinstance(entry.value, memoryview) and self.chance.random() < 0.1:
            self.held = [*self.held[-20:], (key, entry.value)]

    def is_lost(self, key: bytes) -> bool:
        """Whether a key that was not there is not there: not only while another generation is being opened."""
        before = self.store.statistics()
        again = self.store.get(key, boot_s())
        after = self.store.statistics()
        return again is None and not any((before.is_away, after.is_away, before.is_stuck, after.is_stuck))

    async def write(self, key: bytes) -> None:
        """Stores the next turn of a key, or deletes it."""
        self.turn += 1
        gone = self.gone()
        if self.chance.random() < 0.05:
            self.deletes += 1
            self.stored_at.pop(key, None)
            if await self.store.delete(key):
                self.asked[key] = set()
            return
        size = self.chance.choices(SIZES, WEIGHTS[int(boot_s() / TURN_S) % 2])[0]
        turn = self.turn
        lifetime_s = self.chance.choice((0.2, 1e6, 1e6))
        if key in self.asked:
            self.asked[key].add(turn)
        is_stored = await self.store.put(key, value_of(key, turn, size), key, boot_s() + lifetime_s)
        self.puts += 1
        self.failed += not is_stored
        if is_stored:
            self.asked[key] = {turn}
            if lifetime_s > 1:
                self.stored_at[key] = gone
            else:
                self.stored_at.pop(key, None)

    async def run(self) -> None:
        """Goes on until it is killed."""
        told_s, used_s = time.monotonic(), time.process_time()
        while True:
            for _ in range(8):
                self.read(b"%d:%d" % (self.number, self.chance.randrange(KEYS)))
            keys = {b"%d:%d" % (self.number, self.chance.randrange(KEYS)) for _ in range(self.chance.choice((1, 1, 4)))}
            await asyncio.gather(*(self.write(key) for key in keys))
            for key, view in self.held:
                if turn_of(key, view) is None:
                    tell(f"finding {key!r}: a value that is held mapped has changed")
            if time.monotonic() - told_s > TELL_S:
                told_s = time.monotonic()
                tell(f"did {self.reads} {self.hits} {self.puts} {self.failed} {self.deletes}")
            used_s, before_s = time.process_time(), used_s
            await asyncio.sleep(rest_s(used_s - before_s, self.share))


def rest_s(used_s: float, share: float) -> float:
    """How long to rest after so much processor time, so that a process has no more than ``share`` of a processor."""
    return max(0.001, used_s / share - used_s)


def stand_in_a_read(store: Store) -> None:
    """Stops this process inside a transaction that reads."""
    with store._generation.ledger.environment.begin():  # noqa: SLF001 - that is the trouble
        os.kill(os.getpid(), signal.SIGSTOP)


def stand_in_the_lock() -> None:
    """Stops this process in its next write, once it has the lock of writers."""
    really = Change.put

    def put(change: Change, *arguments: Any) -> None:
        Change.put = really  # type: ignore[method-assign]
        os.kill(os.getpid(), signal.SIGSTOP)
        really(change, *arguments)

    Change.put = put  # type: ignore[method-assign]


def say(kind: str, message: str, **_: object) -> None:
    """Tells ``store`` what the error log would be told."""
    tell(f"said {kind} {message}")


async def main() -> None:
    directory, max_bytes, number, patience_s, share = sys.argv[1:6]
    store = Store.open(Path(directory), int(max_bytes), say=say, patience_s=float(patience_s))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, stand_in_a_read, store)
    loop.add_signal_handler(signal.SIGUSR2, stand_in_the_lock)
    tell("open")
    await Worker(store, int(number), os.getpid(), float(share)).run()


def begin() -> None:
    """What a process of its own runs."""
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        asyncio.run(main())
