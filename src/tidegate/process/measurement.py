"""One look into a worker, or at what the supervisor has seen of all: asked by control, answered as a memory file.

    control ── MeasureAsked ──> supervisor ── Measure ──> worker

Each carries one end of a socket pair, and whoever measures answers on it, past everybody: one packet with a memory file
that holds the JSON, so that nobody waits for anybody to read. The other end says by closing (or by half of that,
`end_now`) that it has been long enough. Nothing has to be cleaned up after a death: an end that closes without an
answer says that there will be none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

import msgspec

from tidegate.process.measurement_relay import answer
from tidegate.process.messages import Measure, MeasureAsked, read_memory_file
from tidegate.process.slices import in_slices

__all__ = ["Measurement", "MeasurementError", "measure"]

_LOOK_S = 0.25
_SLACK_S = 30.0  # for a worker that is busy, beyond the time it was asked to measure


class MeasurementError(Exception):
    """There will be no answer, and why."""


class Measurement:
    """In control: one that is under way.

    Args:
        kind: ``heap`` or ``allocations`` of one worker, or ``blocked`` of all.
        worker: Which, for the first two.
        seconds: How long it measures at most.
        send: Tells the supervisor.
    """

    def __init__(self, kind: str, worker: int, seconds: float, send: Callable[[MeasureAsked], bool]) -> None:
        self._seconds = seconds
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        with theirs:
            self._is_sent = send(MeasureAsked(kind=kind, worker=worker, seconds=seconds, fd=theirs.fileno()))

    def __repr__(self) -> str:
        return f"<Measurement {self._seconds:g} s>"

    def end_now(self) -> None:
        """It has been long enough: what there is is answered. Safe to call twice."""
        with contextlib.suppress(OSError):
            self._ours.shutdown(socket.SHUT_WR)

    async def answer(self) -> Any:
        """What was measured. MeasurementError when that is not to be had."""
        if not self._is_sent:
            raise MeasurementError("the supervisor does not listen")
        try:
            async with asyncio.timeout(self._seconds + _SLACK_S):
                await _readable(self._ours.fileno())
        except TimeoutError:
            raise MeasurementError("the worker does not answer: its loop is held") from None
        packet, fds, *_ = socket.recv_fds(self._ours, 1, 1)
        if not packet or not fds:
            raise MeasurementError("no worker is there, or it ended meanwhile")
        try:
            return msgspec.json.decode(read_memory_file(fds[0]))
        finally:
            os.close(fds[0])

    def close(self) -> None:
        """Nobody waits for the answer any more."""
        self._ours.close()


async def measure(order: Measure) -> None:
    """In a worker: does what is asked, on the loop, in slices."""
    if order.fd < 0:
        return
    try:
        answer(order.fd, await _measured(order))
    finally:
        os.close(order.fd)


async def _measured(order: Measure) -> Any:
    if order.kind == "heap":
        from tidegate.observe.heap_census import count_objects

        before = await in_slices(count_objects())
        if not order.seconds:
            return {"before": None, "after": before}
        await _until_enough(order.fd, order.seconds)
        return {"before": before, "after": await in_slices(count_objects())}
    from tidegate.observe import allocations

    if allocations.is_on():
        return {"error": "allocations are being measured already"}
    allocations.start()
    try:
        await _until_enough(order.fd, order.seconds, allocations.is_too_much)
    finally:
        stopping = allocations.stop()
        next(stopping)  # whatever becomes of the rest, it is off
    return await in_slices(stopping)


async def _until_enough(fd: int, seconds: float, is_too_much: Callable[[], bool] = lambda: False) -> None:
    """Returns when the time is over, when nobody wants more, or when it is too much."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    enough = asyncio.Event()
    loop.add_reader(fd, enough.set)  # nothing is ever sent there: it is the end
    try:
        while not enough.is_set() and loop.time() < end_s and not is_too_much():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_LOOK_S, end_s - loop.time())):
                    await enough.wait()
    finally:
        loop.remove_reader(fd)


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(fd, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(fd)
