"""A gateway of its own for one measurement."""

import contextlib
import datetime as dt
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.ports import free_port
from tidegate.admin.client import ControlClient
from tidegate.process.failure import StartError
from tidegate.process.worker import COMM

ROOT = Path(__file__).resolve().parents[2]
ENDED = ("done", "failed")  # phases of an upgrade


class Event(NamedTuple):
    """A line of the error log: when, since 1970, and what."""

    at_s: float
    kind: str
    line: str


class Running:
    """A gateway that serves, and where; ``path`` is its file."""

    def __init__(
        self, process: subprocess.Popen[bytes], admin: tuple[str, int], public: tuple[str, int], path: Path
    ) -> None:
        self.process = process
        self.admin = admin
        self.public = public
        self.path = path
        self.control = ControlClient(path.parent / "run" / f"{process.pid}.sock", process.pid, timeout_s=120.0)
        self._events: list[Event] = []

    def __repr__(self) -> str:
        return f"<Running {self.process.pid} {self.public}>"

    def workers(self) -> list[int]:
        """Pids of the workers that have a place."""
        return [child.pid for child in psutil.Process(self.process.pid).children() if child.name() == COMM]

    def ready(self, timeout_s: float = 5.0) -> tuple[int, list[str], float]:
        """Status, reasons and seconds that ``/health/ready`` took, on a connection of its own."""
        began = time.perf_counter()
        connection = http.client.HTTPConnection(*self.admin, timeout=timeout_s)
        try:
            connection.request("GET", "/health/ready")
            answer = connection.getresponse()
            document = json.loads(answer.read())
        finally:
            connection.close()
        return answer.status, document["reasons"], time.perf_counter() - began

    def ask(self, target: str, *, public: bool = False, timeout_s: float = 20.0) -> tuple[int, bytes]:
        """Status and body."""
        connection = http.client.HTTPConnection(*(self.public if public else self.admin), timeout=timeout_s)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def status(self) -> Any:
        """The document at ``/status``."""
        return json.loads(self.ask("/status")[1])

    def metric(self, name: str) -> dict[str, float]:
        """Values of one metric by the text of its labels."""
        found = re.findall(rf"^{name}(\{{.*\}})? (\S+)$", self.ask("/metrics")[1].decode(), re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    @property
    def events(self) -> list[Event]:
        """What the error log says so far, or said when the gateway was ended."""
        log = self.path.parent / "errors"
        if log.exists():
            found = ((line, re.search(r"\bkind=(\S+)", line)) for line in log.read_text().splitlines())
            self._events = [
                Event(dt.datetime.fromisoformat(line.partition(" ")[0]).timestamp(), kind[1], line)
                for line, kind in found
                if kind
            ]
        return self._events

    def reload(self) -> None:
        """Returns when the file as it is now is active. RuntimeError when that was refused."""
        outcome = self.control.ask("POST", "/reload")
        if outcome["result"] != "active":
            raise RuntimeError(outcome["message"])

    def upgrade(self, timeout_s: float = 120.0) -> None:
        """Lets this same program take over from itself; returns when it has. RuntimeError when it has not."""
        attempt = uuid.uuid4().hex
        path = [os.path.abspath(place) for place in sys.path]  # noqa: PTH100 - "" is this directory
        self.control.post(
            "/upgrade",
            {
                "attempt": attempt,
                "python": sys.executable,
                "python_path": [str(self.path.parent), *path],
                "environment_path": environment(self.path.parent)["PYTHONPATH"],
            },
        )
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            with contextlib.suppress(StartError):  # for a moment nobody answers
                for one in self.control.get("/status")["upgrades"]:
                    if one["attempt"] == attempt and one["phase"] in ENDED:
                        if one["phase"] == "failed" or one["reason"]:
                            raise RuntimeError(one["reason"])
                        return
            time.sleep(0.05)
        raise RuntimeError(f"no end of the upgrade within {timeout_s:g} s")


def environment(folder: Path) -> dict[str, str]:
    """Of a gateway whose files lie in ``folder``: it is this checkout's, and leaves nothing elsewhere.

    Its modules are compiled once, as an installation's are, whatever this shell says.
    """
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "TIDEGATE_RUNTIME_DIR": f"{folder}/run",
        "TIDEGATE_STATE_DIR": f"{folder}/state",
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT / "src"), str(ROOT)]),
    }


@contextlib.contextmanager
def gateway(
    text: str,
    *,
    server: str,
    public_port: int | None = None,
    files: dict[str, str] | None = None,
    before: tuple[str, ...] = (),
) -> Iterator[Running]:
    """Runs a gateway of this configuration; ``files`` lie beside it and can be imported."""
    admin, public = free_port(), public_port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (files or {}).items():
            (Path(folder) / name).write_text(content)
        path = Path(folder) / "gateway.toml"
        path.write_text(
            f'[server]\nadmin = "127.0.0.1:{admin}"\n{server}\n[access_log]\npath = "off"\n'
            f'[error_log]\npath = "{folder}/errors"\n[[listeners]]\nbind = "127.0.0.1:{public}"\n{text}\n'
        )
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "tidegate", "run", str(path)],
            stderr=subprocess.PIPE,
            env=environment(path.parent),
        )
        below: list[psutil.Process] = []
        try:
            assert process.stderr is not None
            said = process.stderr.readline().decode()
            if not re.search("ready after", said):
                sys.exit(said + process.stderr.read().decode())
            running = Running(process, ("127.0.0.1", admin), ("127.0.0.1", public), path)
            yield running
            _ = running.events  # they outlive the folder
        finally:
            with contextlib.suppress(psutil.Error):
                below = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            for child in below:
                with contextlib.suppress(psutil.Error):
                    child.kill()
            process.wait()


def quantile(values: list[float], share: float) -> float:
    """The smallest value that ``share`` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
