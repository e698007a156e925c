"""Reloads of a whole gateway under load: ``python -m benchmarks.reloads``.

A gateway of its own takes requests at a constant rate (open loop, each counted from when it was due) and WebSockets
that send each second. The file is changed and reloaded again and again; `/health/ready` is asked all the while. Shown:
what failed, latency without and with reloads, how long a reload took from the request to the answer, and how long
readiness took to answer. ``--routes 10000`` gives the file that many routes.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import table
from benchmarks.load import own, programs
from benchmarks.load.report import Report
from benchmarks.ports import free_port
from tidegate.process import tasks

ROUTE = '[[routes]]\nname = "r{0}"\nhosts = ["h{1}.example.com"]\npath = "/s{0}/*"\nupstream = "demo"\ntimeout = "5s"\n'


class Gateway:
    """One gateway with its file."""

    def __init__(self, directory: Path, routes: int) -> None:
        self.directory = directory
        self.path = directory / "gateway.toml"
        self.port, self.admin, self.upstream = free_port(), free_port(), free_port()
        self.rest = "".join(ROUTE.format(n, n % 100) for n in range(routes))
        self.pid = 0
        self.write(0)

    def write(self, mark: int) -> None:
        """The file, with something in it that is new."""
        self.path.write_text(
            f'[server]\nadmin = "127.0.0.1:{self.admin}"\n[[listeners]]\nbind = "127.0.0.1:{self.port}"\n'
            f'[access_log]\npath = "off"\n[upstreams.demo]\nendpoints = ["127.0.0.1:{self.upstream}"]\n'
            f'[[routes]]\nname = "small"\npath = "/small"\nrespond = {{ body = "{mark:0100}" }}\n'
            '[[routes]]\nname = "demo"\nhosts = ["demo.example.com"]\nupstream = "demo"\n' + self.rest
        )

    def reload(self) -> float:
        """Seconds until it is active."""
        path = self.directory / "run" / f"{self.pid}.sock"
        began = time.perf_counter()
        connection = http.client.HTTPConnection("localhost", timeout=120)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(path))
        with contextlib.closing(connection):
            connection.request("POST", "/reload")
            outcome = json.loads(connection.getresponse().read())
        if outcome["result"] != "active":
            raise RuntimeError(outcome["message"])
        return time.perf_counter() - began


@contextlib.contextmanager
def running(routes: int) -> Iterator[Gateway]:
    """A gateway with the demo server behind it, to its end."""
    with tempfile.TemporaryDirectory() as name, socket.socket() as listener:
        gateway = Gateway(Path(name), routes)
        listener.bind(("127.0.0.1", gateway.upstream))
        listener.listen(512)
        listener.set_inheritable(True)
        demo = subprocess.Popen(
            [sys.executable, "-m", "tidegate.cli.demo_upstream", str(listener.fileno())], pass_fds=[listener.fileno()]
        )
        environment = {**os.environ, "TIDEGATE_RUNTIME_DIR": str(gateway.directory / "run")}
        process = subprocess.Popen([sys.executable, "-m", "tidegate", "run", str(gateway.path)], env=environment)
        gateway.pid = process.pid
        try:
            deadline = time.monotonic() + 60
            while not is_ready(gateway):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the gateway did not start")
                time.sleep(0.05)
            yield gateway
        finally:
            process.terminate()
            process.wait(60)
            demo.terminate()
            demo.wait(10)


def is_ready(gateway: Gateway) -> bool:
    """Whether it should get traffic."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", gateway.admin, timeout=10)) as connection:
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False


class Readiness(threading.Thread):
    """Asks whether the gateway is ready, a hundred times a second."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__()
        self.took_ms: list[float] = []
        self.red = 0
        self._gateway = gateway
        self._ended = threading.Event()

    def run(self) -> None:
        """Until it is ended."""
        connection = http.client.HTTPConnection("127.0.0.1", self._gateway.admin, timeout=10)
        while not self._ended.wait(0.01):
            began = time.perf_counter()
            connection.request("GET", "/health/ready")
            answer = connection.getresponse()
            answer.read()
            self.took_ms.append((time.perf_counter() - began) * 1e3)
            self.red += answer.status != 200
        connection.close()

    def end(self) -> None:
        """Stops asking."""
        self._ended.set()
        self.join()


class WebSockets(threading.Thread):
    """Clients that send each second and wait for the echo; counts those that were dropped."""

    def __init__(self, gateway: Gateway, count: int) -> None:
        super().__init__()
        self.dropped = 0
        self.echoes = 0
        self.are_open = threading.Event()
        self._gateway = gateway
        self._count = count
        self._is_over = False

    def run(self) -> None:
        """Until they are ended."""
        asyncio.run(self._live())

    async def _live(self) -> None:
        clients = [tasks.start(self._client(), f"client {n}") for n in range(self._count)]
        self.are_open.set()
        await asyncio.gather(*clients)

    async def _client(self) -> None:
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed

        url = f"ws://demo.example.com:{self._gateway.port}/ws"
        async with connect(url, host="127.0.0.1", port=self._gateway.port, ping_interval=None, proxy=None) as client:
            while not self._is_over:
                try:
                    await client.send("tide")
                    await client.recv()
                    self.echoes += 1
                except ConnectionClosed:
                    self.dropped += 1
                    return
                await asyncio.sleep(1)

    def end(self) -> None:
        """Closes them."""
        self._is_over = True
        self.join()


def percentile(values: list[float], share: float) -> float:
    """Of a list that need not be sorted."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure(gateway: Gateway, options: argparse.Namespace, program: Path) -> tuple[Report, Report, list[float]]:
    """Load without reloads, load with them, and how long each of those took."""
    arguments = ["--port", str(gateway.port), "--rate", f"{options.rate:.0f}", "--connections", "64"]
    steady = own.run(program, arguments, options.seconds)
    took: list[float] = []
    failures: list[BaseException] = []

    def reload() -> None:
        try:
            for mark in range(1, options.reloads + 1):
                due = time.monotonic() + options.seconds / options.reloads
                gateway.write(mark)
                took.append(gateway.reload())
                time.sleep(max(0.0, due - time.monotonic()))
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    thread = threading.Thread(target=reload)
    thread.start()
    changing = own.run(program, arguments, options.seconds)
    thread.join()
    if failures:
        raise failures[0]
    return steady, changing, took


def main() -> None:
    """Runs it and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reloads", description=__doc__.partition("\n")[0])
    parser.add_argument("--routes", type=int, default=0, help="routes beside the two that are asked for (0)")
    parser.add_argument("--reloads", type=int, default=100, help="how many (100)")
    parser.add_argument("--rate", type=float, default=10_000, help="requests per second (10,000)")
    parser.add_argument("--seconds", type=float, default=30.0, help="of load without, and of load with reloads (30)")
    parser.add_argument("--websockets", type=int, default=200, help="that send each second (200)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running(options.routes) as gateway:
        program = programs.build("paced", Path(name))
        sockets, readiness = WebSockets(gateway, options.websockets), Readiness(gateway)
        sockets.start()
        sockets.are_open.wait()
        readiness.start()
        try:
            steady, changing, took = measure(gateway, options, program)
        finally:
            readiness.end()
            sockets.end()
    rows = [
        {
            "": name,
            "failed": str(one.errors),
            "requests": str(one.requests),
            **{f"{part}, ms": f"{one.latency_us[part] / 1e3:.2f}" for part in ("p50", "p99", "max")},
        }
        for name, one in (("steady", steady), ("while reloading", changing))
    ]
    print(table.render(rows))
    print(f"reloads: {len(took)}, median {statistics.median(took):.3f} s, longest {max(took):.3f} s")
    print(f"WebSockets: {options.websockets}, dropped {sockets.dropped}, echoes {sockets.echoes}")
    ready = readiness.took_ms
    told = ", ".join(f"p{share * 100:g} {percentile(ready, share):.1f} ms" for share in (0.5, 0.99, 1.0))
    print(f"/health/ready: {len(ready)} answers, {readiness.red} red, {told}")


if __name__ == "__main__":
    main()
