"""Tidegate itself: `tidegate run` with a configuration, as a process, as an operator starts it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Self

from tidegate.admin.client import ControlClient
from tidegate.lab.pieces.client import ask
from tidegate.lab.pieces.port import free_port
from tidegate.lab.pieces.process import Child, python_path
from tidegate.process.failure import StartError

__all__ = ["Gateway"]

_ATTEMPTS = 5
_START_S = 60.0
_END_S = 10.0


class Gateway:
    """A gateway with ``workers`` workers.

    Args:
        folder: Where its files lie, empty.
        text: Its configuration without ``[server]``, logs and listeners.
        workers: How many; a single one has no spare, which is for a gateway that is to lose one.
    """

    def __init__(self, folder: Path, text: str, *, workers: int) -> None:
        self.folder = folder
        self.address = ""
        self.admin = ""
        self._text = text
        self._workers = workers
        self._child: Child | None = None

    def __repr__(self) -> str:
        return f"<Gateway {self.address}>"

    async def __aenter__(self) -> Self:
        said = ""
        for _ in range(_ATTEMPTS):
            self.address, self.admin = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
            self._write(self._text)
            environment = {
                **python_path(),
                "TIDEGATE_RUNTIME_DIR": str(self.folder / "run"),
                "TIDEGATE_STATE_DIR": str(self.folder / "state"),
            }
            argv = [sys.executable, "-P", "-m", "tidegate", "run", str(self.folder / "gateway.toml")]
            self._child = Child(argv, environment=environment)
            try:
                said = await self._child.line(_START_S)
            except BaseException:
                await self._child.end(0.0)
                raise
            if "ready after" in said:
                return self
            said = f"{said} {await self._child.line(_START_S)}"
            await self._child.end(0.0)
            if "in use" not in said:
                break
        raise StartError(f"the gateway of the lab does not start: {said}")

    async def __aexit__(self, *_: object) -> None:
        if self._child is not None:
            await self._child.end(_END_S)

    @property
    def pid(self) -> int:
        """The supervisor's."""
        if self._child is None:
            raise RuntimeError("it has not been started")
        return self._child.pid

    async def reload(self, text: str) -> None:
        """Makes this configuration the active one; StartError when it is refused."""
        self._write(text)
        outcome = await asyncio.to_thread(self._control().ask, "POST", "/reload")
        if outcome["result"] != "active":
            raise StartError(f"the gateway of the lab refuses a configuration: {outcome['message']}")

    async def status(self) -> Any:
        """The document at ``/status``."""
        return await asyncio.to_thread(self._control().get, "/status")

    async def worker_pids(self) -> list[int]:
        """Of those that serve."""
        return [worker["pid"] for worker in (await self.status())["workers"]]

    async def health(self, patience_s: float) -> int:
        """Status of ``/health/ready`` as an orchestrator gets it, 0 when none came in time."""
        return (await ask(self.admin, "/health/ready", patience_s=patience_s)).status

    def errors(self) -> list[str]:
        """The lines of the error log."""
        log = self.folder / "errors"
        return log.read_text().splitlines() if log.exists() else []

    def _control(self) -> ControlClient:
        return ControlClient(self.folder / "run" / f"{self.pid}.sock", self.pid, timeout_s=60.0)

    def _write(self, text: str) -> None:
        head = (
            f'[server]\nworkers = {self._workers}\nadmin = "{self.admin}"\ndrain_timeout = "100ms"\n'
            f'filter_packages = ["tidegate.lab"]\nspare_worker = {str(self._workers > 1).lower()}\n'
            f'[access_log]\npath = "off"\n[error_log]\npath = {json.dumps(str(self.folder / "errors"))}\n'
            f'[[listeners]]\nbind = "{self.address}"\n'
        )
        (self.folder / "gateway.toml").write_text(head + text)
