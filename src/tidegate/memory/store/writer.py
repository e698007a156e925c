"""The one thread of a process that writes to the store, and how long anybody waits for it.

LMDB's lock of writers passes on from a process that is killed, but a process that is stopped keeps it, and whoever
wants to write waits in a system call that nothing ends. So only this thread does. Who waits for it is told after
``PATIENCE_S`` that his write did not come about, and until the thread comes back all others are told so at once.

A write that was given up is not made later: by then the key may have been invalidated. A deletion is made later, as it
can only be too much.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable

from tidegate.memory.store.directory import PATIENCE_S
from tidegate.memory.store.record import Buffer

__all__ = ["Write", "Writer"]

WAITING_MAX = 4096
WAITING_BYTES_MAX = 256 << 20
"""Writes that wait, and the bytes of their values: what is more is turned away."""

_BATCH = 64


class Write:
    """One write that is asked for: of ``value``, or the deletion of the key where there is none.

    ``is_given_up`` is set on the loop and read by the writer, ``is_made`` the other way.
    """

    __slots__ = ("begun_s", "expires_s", "future", "is_given_up", "is_made", "key", "meta", "stored_s", "value")

    def __init__(
        self,
        key: bytes,
        value: Buffer | None,
        future: asyncio.Future[bool],
        *,
        meta: bytes = b"",
        stored_s: float = 0.0,
        expires_s: float = 0.0,
    ) -> None:
        self.key = key
        self.value = value
        self.meta = meta
        self.stored_s = stored_s
        self.expires_s = expires_s
        self.future = future
        self.begun_s = 0.0
        self.is_given_up = False
        self.is_made = False

    def is_wanted(self) -> bool:
        """Whether anybody still waits for it, or it is a deletion; the loop changes that at any moment."""
        return self.value is None or not self.is_given_up

    @property
    def size(self) -> int:
        """Bytes of its value."""
        return 0 if self.value is None else len(self.value)


class Writer:
    """Takes writes on the loop, has a thread make them, and tells on the loop what became of them.

    Args:
        make: Makes some writes, in their order, and returns for each whether it came about; on the thread.
        made: Called on the loop for each that ``make`` has dealt with.
        became_stuck: Called on the loop when nothing has moved for ``patience_s``, and when it moves again, with True
            and False.
        patience_s: How long a write may take.
    """

    def __init__(
        self,
        make: Callable[[list[Write]], list[bool]],
        made: Callable[[Write], None],
        became_stuck: Callable[[bool], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._make = make
        self._made = made
        self._became_stuck = became_stuck
        self._patience_s = patience_s
        self._queue: deque[Write | Callable[[], None]] = deque()
        self._open: dict[Write, None] = {}  # not answered yet, the oldest first
        self._open_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._more = threading.Condition()
        self.is_stuck = False
        self.turned_away = 0
        self.waits = 0
        self._thread = threading.Thread(target=self._run, name="store writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Writes that wait for their answer."""
        return len(self._open)

    def add(self, write: Write) -> asyncio.Future[bool]:
        """Asks for a write; the future says whether it came about."""
        is_deletion = write.value is None
        has_room = len(self._open) < WAITING_MAX and self._open_bytes + write.size <= WAITING_BYTES_MAX
        if self._is_closing or not (is_deletion or (has_room and not self.is_stuck)):
            self.turned_away += 1
            write.future.set_result(False)
            return write.future
        if self.is_stuck:
            self.turned_away += 1
            write.is_given_up = True
            write.future.set_result(False)
        else:
            loop = write.future.get_loop()
            write.begun_s = loop.time()
            self._open[write] = None
            self._open_bytes += write.size
            if self._timer is None:
                self._timer = loop.call_later(self._patience_s, self._look, loop)
        with self._more:
            self._queue.append(write)
            self._more.notify()
        return write.future

    def run(self, work: Callable[[], None]) -> None:
        """Has the thread do something in its turn; it must not raise."""
        with self._more:
            self._queue.append(work)
            self._more.notify()

    def stop(self) -> None:
        """Takes no more writes; the thread makes what waits, and ends."""
        with self._more:
            self._is_closing = True
            self._more.notify()

    def join(self, patience_s: float) -> None:
        """Waits for the end of the thread, on whatever thread, or until it has stood still for so long."""
        self._thread.join(0.0 if self.is_stuck else min(patience_s, self._patience_s))

    def close(self, patience_s: float = PATIENCE_S) -> bool:
        """Makes what waits and ends the thread; False: after ``patience_s`` it stands still, and is left there."""
        self.stop()
        self.join(patience_s)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for write in self._open:
            write.is_given_up = True
            if not write.future.done():
                with contextlib.suppress(RuntimeError):  # its loop has been closed: nobody waits any more
                    write.future.set_result(write.is_made)
        self._open.clear()
        return not self._thread.is_alive()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        oldest = next(iter(self._open), None)
        if oldest is None:
            return
        left_s = oldest.begun_s + self._patience_s - loop.time()
        if left_s > 0:
            self._timer = loop.call_later(left_s, self._look, loop)
            return
        self.is_stuck = True
        self.waits += 1
        self._became_stuck(True)
        for write in self._open:
            write.is_given_up = True
            if not write.future.done():
                write.future.set_result(False)
        self._open.clear()
        self._open_bytes = 0

    def _answer(self, writes: list[Write]) -> None:
        if self.is_stuck:
            self.is_stuck = False
            self._became_stuck(False)
        for write in writes:
            if write in self._open:
                del self._open[write]
                self._open_bytes -= write.size
            self._made(write)
            if not write.future.done():
                write.future.set_result(write.is_made)

    def _run(self) -> None:
        while True:
            with self._more:
                while not self._queue and not self._is_closing:
                    self._more.wait()
                if not self._queue:
                    return
                writes = self._take()
            if callable(writes):
                writes()
                continue
            for write, is_made in zip(writes, self._make(writes), strict=True):
                write.is_made = is_made
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                writes[0].future.get_loop().call_soon_threadsafe(self._answer, writes)

    def _take(self) -> list[Write] | Callable[[], None]:
        """Some writes off the queue, or one piece of work."""
        first = self._queue.popleft()
        if not isinstance(first, Write):
            return first
        writes = [first]
        while self._queue and len(writes) < _BATCH and isinstance(self._queue[0], Write):
            writes.append(self._queue.popleft())  # type: ignore[arg-type]  # it was looked at one line above
        return writes

    def __repr__(self) -> str:
        return f"<Writer{' stuck' if self.is_stuck else ''}, {len(self._open)} writes wait>"
