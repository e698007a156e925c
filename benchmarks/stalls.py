"""One worker's loop held for 0.2 s again and again: ``python -m benchmarks.stalls``.

A gateway of its own with two workers. Somebody asks one of them, without a pause, for a page whose filter calls
``time.sleep(0.2)``; all the while the other is asked 200 times a second, and `/health/ready` 50 times. Shown: how long
until the error log named filter, file and line; how many of the sleeps were seen; the other worker's latency before
and meanwhile; how long readiness took to answer; saturation.
"""

import argparse
import contextlib
import datetime as dt
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from benchmarks import table
from benchmarks.ports import free_port
from benchmarks.reloads import percentile

ROOT = Path(__file__).resolve().parents[1]
LINE = 'kind=loop_stalled .*filter=sleeps .*file="?(\\S+?)"? line=(\\d+)'


class Gateway:
    """One gateway with its file and its error log."""

    def __init__(self, directory: Path) -> None:
        self.port, self.admin = free_port(), free_port()
        self.log = directory / "error.log"
        self.path = directory / "gateway.toml"
        self.path.write_text(
            f'[server]\nworkers = 2\nadmin = "127.0.0.1:{self.admin}"\nfilter_packages = ["benchmarks"]\n'
            f'[[listeners]]\nbind = "127.0.0.1:{self.port}"\n[access_log]\npath = "off"\n'
            f'[error_log]\npath = "{self.log}"\n[filters.sleeps]\nclass = "benchmarks.filters:SleepsOnDemand"\n'
            '[[routes]]\nname = "all"\nfilters = ["sleeps"]\nrespond = {}\n'
        )

    def connect(self) -> tuple[socket.socket, int]:
        """A connection, and the pid of the worker that has it."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return client, int(ask(client, "/"))

    def status(self) -> dict[str, float]:
        """`/status`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/status")
            status: dict[str, float] = json.loads(connection.getresponse().read())
            return status

    def stalls(self) -> int:
        """How many the gateway has counted."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        return sum(int(count) for count in re.findall(r"^tidegate_loop_stalls_total\{.*\} (\d+)$", text, re.MULTILINE))

    def named(self) -> tuple[float, str] | None:
        """When the error log first named the line, since 1970, and which."""
        for line in self.log.read_text().splitlines():
            if found := re.search(LINE, line):
                return dt.datetime.fromisoformat(line.partition(" ")[0]).timestamp(), f"{found[1]}:{found[2]}"
        return None


def ask(client: socket.socket, target: str) -> bytes:
    """One exchange on a kept connection; its body, which is short."""
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    answer = client.recv(4096)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(answer[:100])
    return answer.partition(b"\r\n\r\n")[2]


@dataclass
class Asker:
    """Asks the same again and again in a thread of its own, each question counted from when it was due."""

    question: Callable[[], object]
    each_s: float
    took_ms: list[float] = field(default_factory=list)
    failed: int = 0

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        due_s = time.perf_counter()
        while not self._over.wait(max(0.0, due_s - time.perf_counter())):
            try:
                self.question()
            except OSError:
                self.failed += 1
            self.took_ms.append((time.perf_counter() - due_s) * 1e3)
            due_s = due_s + self.each_s if self.each_s else time.perf_counter()


@contextlib.contextmanager
def running() -> Iterator[Gateway]:
    """A gateway, to its end."""
    with tempfile.TemporaryDirectory() as name:
        gateway = Gateway(Path(name))
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            "TIDEGATE_RUNTIME_DIR": str(Path(name) / "run"),
            "TIDEGATE_STATE_DIR": str(Path(name) / "state"),
        }
        argv = [sys.executable, "-m", "tidegate", "run", str(gateway.path)]
        process = subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None  # narrows the type
            ready = process.stderr.readline()
            if "ready after" not in ready:
                sys.exit(f"the gateway did not start: {ready}")
            yield gateway
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            if process.stderr is not None:
                process.stderr.close()


def readiness(gateway: Gateway) -> Callable[[], None]:
    """Asks `/health/ready` on a kept connection."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.admin, timeout=30)

    def question() -> None:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise ConnectionError(answer.status)

    return question


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stalls", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each half (10)")
    seconds = parser.parse_args().seconds
    with running() as gateway, contextlib.ExitStack() as stack:
        victim, pid = gateway.connect()
        stack.enter_context(victim)
        while True:
            other, other_pid = gateway.connect()
            stack.enter_context(other)
            if other_pid != pid:
                break

        def well() -> bytes:
            return ask(other, "/")

        rows = []
        before = gateway.stalls()
        saturation = 0.0
        for name in ("before", "meanwhile"):
            with contextlib.ExitStack() as half:
                neighbour = half.enter_context(Asker(well, 0.005))
                health = half.enter_context(Asker(readiness(gateway), 0.02))
                began_s = time.time()
                if name == "meanwhile":
                    sleeper = half.enter_context(Asker(lambda: ask(victim, "/sleep"), 0.0))
                time.sleep(seconds)
                saturation = float(gateway.status()["saturation"])
            rows.append(
                {
                    "": name,
                    **{
                        f"other worker {p * 100:g} %, ms": f"{percentile(neighbour.took_ms, p):.2f}"
                        for p in (0.5, 0.99)
                    },
                    **{f"ready {p * 100:g} %, ms": f"{percentile(health.took_ms, p):.2f}" for p in (0.5, 0.99)},
                    "failed": str(neighbour.failed + health.failed),
                    "saturation": f"{saturation:.2f}",
                }
            )
        named = gateway.named()
        print(table.render(rows))
        print(f"sleeps of 0.2 s: {len(sleeper.took_ms)}, seen {gateway.stalls() - before}")
        print("never named" if named is None else f"named after {named[0] - began_s:.2f} s: {named[1]}")


if __name__ == "__main__":
    main()
