"""listen-overflow: a burst is more than the listen queue of an application server holds."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

from tidegate.bench.chart import Line, Panel
from tidegate.lab.figure import Figure, at_least, at_most
from tidegate.lab.pieces.client import Told, ask
from tidegate.lab.pieces.service import Answer, Request
from tidegate.lab.scenario import Half, Scenario
from tidegate.lab.stage import Stage
from tidegate.lab.timeline import by_step
from tidegate.process import tasks

__all__ = ["ApplicationServer", "ListenOverflow"]

BACKLOG = 100
WORKERS, TAKES_S = 4, 0.03
BURST = 250
PATIENCE_S = 30.0


class ApplicationServer:
    """As uWSGI with a few processes: each takes a connection out of the kernel's queue when it has nothing to do."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.busy = 0
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.setblocking(False)
        self._listening.bind(self.path)
        self._listening.listen(BACKLOG)
        self._workers = [tasks.start(self._work(), "application server of the lab") for _ in range(WORKERS)]

    def __repr__(self) -> str:
        return f"<ApplicationServer {self.path}, {self.busy} busy>"

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._listening)
            self.busy += 1
            with sock, contextlib.suppress(OSError):
                if await loop.sock_recv(sock, 4096):
                    await asyncio.sleep(TAKES_S)
                    await loop.sock_sendall(
                        sock, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
                    )
            self.busy -= 1

    def close(self) -> None:
        """Ends its workers."""
        for worker in self._workers:
            worker.cancel()
        self._listening.close()


class ListenOverflow(Scenario):
    """The burst that the kernel turned away."""

    name = "listen-overflow"
    title = "A burst overflows the listen queue of the application server"
    incident = (
        "A web server passes each request on over a connection of its own to an application server with a few "
        "processes. Its listen queue holds 100. A burst fills it within milliseconds, and from then on `connect` "
        "fails: 502 after 502, in the access log of nobody but the web server, while the application answers in its "
        "usual time and sees nothing."
    )
    miniature = (
        f"An application server with {WORKERS} workers, {TAKES_S * 1e3:g} ms a request and the original's listen "
        f"queue of {BACKLOG}, at a unix socket; {BURST} requests at once."
    )
    remedy = (
        "The same burst through Tidegate, whose pool to that server has a bound below its listen queue and lets "
        "others wait in order, for a bounded time."
    )
    figures = (
        Figure("asked", "requests"),
        Figure("turned_away", "of them answered 502 or not at all"),
        Figure("served", "of them served"),
    )
    shows = (at_least("turned_away", 20),)
    promises = (at_most("turned_away", 0), at_least("served", BURST))

    async def as_it_happened(self, stage: Stage) -> Half:
        server = ApplicationServer(stage.folder / "application.sock")
        try:

            async def passed(_: Request) -> Answer:
                return await _passed_on(server.path)

            web = await stage.service(passed)
            return await _burst(stage, server, web.address)
        finally:
            server.close()

    async def through_tidegate(self, stage: Stage) -> Half:
        server = ApplicationServer(stage.folder / "application.sock")
        try:
            gateway = await stage.gateway(_configuration(server.path), workers=1)
            return await _burst(stage, server, gateway.address)
        finally:
            server.close()


async def _passed_on(path: str) -> Answer:
    """A request over a connection of its own, which the kernel refuses when the queue is full."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        try:
            sock.connect(path)  # to a unix socket it is done, or refused, at once
            await loop.sock_sendall(sock, b"GET / HTTP/1.0\r\n\r\n")
            answer = await loop.sock_recv(sock, 4096)
        except OSError:
            return Answer(502)
    return Answer(200 if answer else 502)


async def _burst(stage: Stage, server: ApplicationServer, address: str) -> Half:
    timeline = stage.timeline
    timeline.watch("busy", lambda: server.busy)
    told: list[Told] = []
    rounds = max(1, int(stage.seconds / 5))
    for _ in range(rounds):
        timeline.mark("a burst")
        told += await asyncio.gather(*(ask(address, patience_s=PATIENCE_S) for _ in range(BURST)))
    served = [one.ended_s - timeline.began_s for one in told if one.is_served]
    lost = [one.ended_s - timeline.began_s for one in told if not one.is_served]
    seconds = timeline.seconds
    lines = [
        Line("served", by_step(served, seconds), "blue"),
        Line("turned away", by_step(lost, seconds), "orange"),
    ]
    busy = Panel("Workers with something to do", "workers", [timeline.line("busy", "purple")])
    return Half(
        figures={"asked": len(told), "turned_away": len(lost), "served": len(served) / rounds},
        panels=[Panel("Requests", "per second", lines), busy],
        seconds=seconds,
        marks=timeline.marks,
        notes=stage.notes,
    )


def _configuration(path: str) -> str:
    return f"""
[upstreams.application]
endpoints = ["unix:{path}"]
pool = {{ max = {BACKLOG // 4}, idle = 0, wait = 1000, wait_timeout = "{PATIENCE_S:g}s" }}
[[routes]]
name = "all"
upstream = "application"
"""
