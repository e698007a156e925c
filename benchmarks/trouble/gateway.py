"""A gateway of its own for one measurement."""

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.ports import free_port


class Running:
    """A gateway that serves, and where."""

    def __init__(self, process: subprocess.Popen[bytes], admin: tuple[str, int], public: tuple[str, int]) -> None:
        self.process = process
        self.admin = admin
        self.public = public

    def __repr__(self) -> str:
        return f"<Running {self.process.pid} {self.public}>"

    def workers(self) -> list[int]:
        """Pids of the workers."""
        return [
            child.pid
            for child in psutil.Process(self.process.pid).children()
            if "tidegate.process.worker" in child.cmdline()
        ]

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
            env={
                **os.environ,
                "TIDEGATE_RUNTIME_DIR": f"{folder}/run",
                "PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}",
            },
        )
        below: list[psutil.Process] = []
        try:
            assert process.stderr is not None
            said = process.stderr.readline().decode()
            if not re.search("ready after", said):
                sys.exit(said + process.stderr.read().decode())
            yield Running(process, ("127.0.0.1", admin), ("127.0.0.1", public))
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
