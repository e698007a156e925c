"""What the link itself costs a command, with no socket below it: from the call to the reply in its future."""

import asyncio
from typing import Any

from hiredis import pack_command

from tidegate.redis.meters import Meters
from tidegate.redis.pipeline import Pipeline

_loop = asyncio.new_event_loop()
_TOGETHER = 64


class _Wire:
    is_paused = False

    def write(self, data: bytes) -> None:
        """Takes everything."""


class _Lane(Pipeline):
    def watch(self, deadline: float, future: asyncio.Future[Any] | None) -> None:
        """Nobody is late here."""


class _Now:
    """A loop whose callbacks are due at once: what they cost is measured, what the loop costs is not."""

    create_future = _loop.create_future

    def call_soon(self, callback: Any, *args: Any) -> None:
        """Kept for the caller to run."""


def _lane() -> _Lane:
    lane = _Lane(
        _Now(),
        Meters(),
        batch=64,
        linger_s=0.0,
        timeout_s=1.0,
        max_commands=4096,
        max_bytes=1 << 26,  # type: ignore[arg-type]
    )
    lane.use(_Wire())  # type: ignore[arg-type]
    return lane


def _turn(n: int, together: int) -> int:
    lane = _lane()
    replies = [b"v" * 32] * together
    for _ in range(n):
        for _ in range(together):
            lane.send(("GET", "user:1"))
        lane.flush()
        lane.take(replies)
        lane.end_turn()
    return n * together


def _bare(n: int) -> None:
    create, wire = _loop.create_future, _Wire()
    for _ in range(n):
        future = create()
        wire.write(pack_command(("GET", "user:1")))
        future.set_result(b"v")


CASES = {
    "future, packing and reply alone": _bare,
    "a command alone in its turn": lambda n: _turn(n, 1),
    "64 commands in a turn": lambda n: _turn(n, _TOGETHER),
}
