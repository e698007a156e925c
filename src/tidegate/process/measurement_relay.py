"""The supervisor's part in a measurement: it passes the question on, or answers what it knows itself.

No asyncio here: the supervisor does without.
"""

from __future__ import annotations

import contextlib
import os
import socket

import msgspec

from tidegate.observe.blocked_time import BlockedTime
from tidegate.process.messages import Measure, MeasureAsked, memory_file
from tidegate.process.workforce import Workforce

__all__ = ["answer", "forward"]


def forward(asked: MeasureAsked, workers: Workforce, blocked: BlockedTime) -> None:
    """In the supervisor: passes it on to the worker, or answers."""
    if asked.fd < 0:
        return  # there was no descriptor left for it: the other end closes with the message
    try:
        if asked.kind == "blocked":
            answer(asked.fd, {"stacks": blocked.stacks()})
            return
        for place in workers.places:
            if place.seat == asked.worker and place.child is not None and place.child.channel is not None:
                place.child.channel.send(Measure(kind=asked.kind, seconds=asked.seconds, fd=asked.fd))
    finally:
        os.close(asked.fd)


def answer(fd: int, document: object) -> None:
    """Sends what was measured to who asked, if anybody still waits."""
    result = memory_file("measurement", msgspec.json.encode(document))
    try:
        with socket.socket(fileno=os.dup(fd)) as end, contextlib.suppress(OSError):
            socket.send_fds(end, [b"1"], [result])
    finally:
        os.close(result)
