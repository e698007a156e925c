"""Filters that hold the loop in every way people do, a gateway with them, and which line it was."""

import asyncio
import contextlib
import inspect
import re
import socket
import time
from pathlib import Path

from tests.process.gateway import DEADLINE_S, supervised

from tidegate import Filter, Request, Response
from tidegate.config.filters import FilterUse
from tidegate.config.listeners import Listener
from tidegate.config.logs import AccessLog
from tidegate.config.routes import Respond, Route
from tidegate.config.schema import Gateway
from tidegate.config.server import Server


def _sleep(seconds: float) -> None:
    time.sleep(seconds)  # here: sleep


class Holds(Filter):
    """The path says how, and for how long: ``/sleep/0.2``."""

    def on_request(self, request: Request) -> Response | None:
        how, _, seconds = request.path[1:].partition("/")
        match how:
            case "sleep":
                _sleep(float(seconds))
            case "busy":
                while True:
                    pass  # here: busy
            case "receive":
                one, other = socket.socketpair()
                with one, other:
                    one.recv(1)  # here: receive
            case "task":
                self.task = asyncio.get_running_loop().create_task(self.later(float(seconds)))
        return Response(200, b"done")

    async def later(self, seconds: float) -> None:
        """What a filter leaves running behind it."""
        await asyncio.sleep(0.01)
        time.sleep(seconds)  # noqa: ASYNC251  # here: task


class HoldsLater(Filter):
    """Holds it in a coroutine, after it has waited for something."""

    async def on_request(self, request: Request) -> Response:
        await asyncio.sleep(0.01)
        time.sleep(float(request.path.rpartition("/")[2]))  # noqa: ASYNC251  # here: coroutine
        return Response(200, b"done")


def place_of(mark):
    """``FILE:LINE`` of the line that says ``here: mark``."""
    path = Path(inspect.getfile(_sleep))
    lines = path.read_text().splitlines()
    (found,) = [number for number, line in enumerate(lines, 1) if re.search(rf"# here: {mark}$", line)]
    return f"{path}:{found}"


@contextlib.contextmanager
def stalling(*, workers=2, has_control=False, runtime_dir="/nonexistent", **server):
    """A gateway with these filters in front of nothing."""
    here = __name__
    gateway = Gateway(
        server=Server(workers=workers, admin="127.0.0.1:0", filter_packages=("tests",), drain_timeout=1.0, **server),
        listeners=(Listener(bind="127.0.0.1:0"),),
        access_log=AccessLog(path="off"),
        filters={
            "holds": FilterUse(target=f"{here}:Holds"),
            "later": FilterUse(target=f"{here}:HoldsLater"),
        },
        routes=(
            Route(name="coroutine", path="/coroutine/*", filters=("later",), respond=Respond()),
            Route(name="any", path="/*", filters=("holds",), respond=Respond()),
        ),
    )
    service = "tidegate.edge.server:Server"
    with supervised(gateway=gateway, service=service, has_control=has_control, runtime_dir=runtime_dir) as running:
        yield running.wait_ready()


def begin(gateway, target):
    """Sends a request on a connection of its own, which is returned."""
    client = gateway.connect()
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    return client


def finish(client):
    """The whole answer; closes the connection."""
    client.settimeout(DEADLINE_S)
    answer = b""
    with client:
        while data := client.recv(65536):
            answer += data
    return answer


def get(gateway, target):
    """One request to its end."""
    return finish(begin(gateway, target))
