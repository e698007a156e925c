"""What one exchange costs a worker, from the reactor's event to the log line: CPU time of the loop's thread.

The compiled modules on that way (net: reactor, stream, tls; exchange; edge; upstream.connection) have no life of their
own outside it, so they are measured together, with real sockets: a C client and a C upstream on the other core. The
kernel's part is in it; ``perf stat -e instructions:u,instructions:k`` on this process tells them apart.
"""

import asyncio
import os
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import uvloop

from benchmarks.load import own, programs
from benchmarks.processes import LOAD_CORE
from tidegate.config.check import check
from tidegate.edge.server import Server
from tidegate.memory.region import Region

CONFIG = """
[[listeners]]
bind = "127.0.0.1:{port}"
[upstreams.a]
endpoints = ["127.0.0.1:{upstream}"]
[[routes]]
name = "all"
upstream = "a"
[[routes]]
name = "answered here"
path = "/local"
respond.body = "hello"
[access_log]
path = "{log}"
"""
SECONDS = 1
ROUNDS = 5


class Worker:
    """A data plane on a loop in a thread, and the CPU time of that thread."""

    def __init__(self, listening: int, config: Path) -> None:
        snapshot, findings = check(config)
        assert snapshot is not None, findings
        region = Region.create(1)
        region.snapshot_number = snapshot.number
        self.reader = region.slot(0).log_reader()
        self.loop = uvloop.new_event_loop()
        ready = threading.Event()

        async def begin() -> None:
            listeners = [(snapshot.gateway.listeners[0], listening)]
            self.server = Server(self.loop, snapshot, 0, region, None, listeners=listeners)
            await self.server.prepare(snapshot)
            self.server.start()
            ready.set()
            while True:
                await asyncio.sleep(0.02)
                self.reader.read(1 << 20)

        def run() -> None:
            asyncio.set_event_loop(self.loop)
            self.task = self.loop.create_task(begin())
            self.loop.run_forever()

        threading.Thread(target=run, daemon=True).start()
        assert ready.wait(10)

    def cpu_ns(self) -> int:
        """CPU time of the loop's thread, nanoseconds."""
        found: list[int] = []
        done = threading.Event()

        def look() -> None:
            found.append(time.thread_time_ns())
            done.set()

        self.loop.call_soon_threadsafe(look)
        done.wait(10)
        return found[0]


def main() -> None:
    """With the access log and without, proxied and answered by the gateway itself."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0) - {LOAD_CORE}, default=0)})
    with tempfile.TemporaryDirectory() as folder:
        client = programs.build("closed", Path(folder))
        upstream = programs.build("upstream", Path(folder))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            upstream_port = probe.getsockname()[1]
        server = subprocess.Popen(["taskset", "-c", str(LOAD_CORE), str(upstream), str(upstream_port)])
        try:
            listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
            port = listening.getsockname()[1]
            config = Path(folder) / "gateway.toml"
            for log in ("off", f"{folder}/access.log"):
                config.write_text(CONFIG.format(port=port, upstream=upstream_port, log=log))
                worker = Worker(os.dup(listening.fileno()), config)
                for name, path in (("proxied, 128 bytes", "/small"), ("answered here", "/local")):
                    switch = "off" if log == "off" else "on"
                    print(f"exchange {name:20} log {switch:3} {measure(worker, client, port, path)}")
                worker.loop.call_soon_threadsafe(worker.server.close)
        finally:
            server.terminate()
            server.wait(10)


def measure(worker: Worker, client: Path, port: int, path: str) -> str:
    """One line of figures: the best of some rounds."""
    best = (float("inf"), 0.0)
    for _ in range(ROUNDS):
        before = worker.cpu_ns()
        report = own.run(client, ["--port", str(port), "--path", path, "--connections", "64"], SECONDS)
        best = min(best, ((worker.cpu_ns() - before) / report.requests / 1000, report.requests / report.seconds))
    return f"{best[0]:5.2f} us CPU  {best[1]:9,.0f} requests/s"


if __name__ == "__main__":
    main()
