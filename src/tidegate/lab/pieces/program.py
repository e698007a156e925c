"""A function of ours in a process of its own, to be killed, or to have its loop blocked, without harm to the lab.

``python -m tidegate.lab.pieces.program MODULE:FUNCTION JSON`` runs the coroutine ``function(ready, **arguments)``. It
calls ``ready(**facts)`` once it serves, and is ended by a signal or the end of its standard input, so that nothing goes
on when whoever started it is gone.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Self

from tidegate.lab.pieces.process import Child, python_path
from tidegate.process.failure import StartError

__all__ = ["Program", "Ready", "main"]

_START_S = 60.0

Ready = Callable[..., None]


class Program:
    """``target`` (``module:function``) with ``arguments`` that JSON can hold; ``facts`` are what it said when ready."""

    def __init__(self, target: str, arguments: Mapping[str, Any]) -> None:
        self.target = target
        self.facts: dict[str, Any] = {}
        self._arguments = dict(arguments)
        self._child: Child | None = None

    def __repr__(self) -> str:
        return f"<Program {self.target} {self.facts}>"

    @property
    def child(self) -> Child:
        """The process."""
        if self._child is None:
            raise RuntimeError("it has not been started")
        return self._child

    async def __aenter__(self) -> Self:
        argv = [sys.executable, "-P", "-m", __name__, self.target, json.dumps(self._arguments)]
        self._child = Child(argv, environment=python_path())
        try:
            self.facts = _facts(await self._child.line(_START_S))
        except BaseException:
            await self._child.end(0.0)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.child.end(1.0)


def _facts(line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:
        raise StartError(f"a program of the lab does not start: {line}") from None


async def _run(target: str, arguments: Mapping[str, Any]) -> None:
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _look_for_the_end)
    await function(_say, **arguments)


def _look_for_the_end() -> None:
    if not os.read(sys.stdin.fileno(), 1 << 10):
        os._exit(0)


def _say(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Runs the function that the arguments name."""
    asyncio.run(_run(sys.argv[1], json.loads(sys.argv[2])))


if __name__ == "__main__":
    main()
