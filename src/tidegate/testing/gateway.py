"""A gateway in this process, with filters under test, in front of an upstream that remembers what it got.

    with testing.gateway(PlanHeader) as gw:
        gw.get("/orders", {"X-Tenant": "acme"})
        assert gw.upstream.received[0].get("X-Plan") == "gold"

It is the real one: configuration checked, sockets, a loop of its own in a thread.
"""

import asyncio
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import uvloop

from tidegate.config.allotment import room_of
from tidegate.config.check import check_text
from tidegate.config.snapshot import Snapshot
from tidegate.edge.server import Server
from tidegate.exchange.filter import Filter, make_filters
from tidegate.memory.region import Region
from tidegate.testing.classes import target_of
from tidegate.testing.upstream import ScriptedUpstream

__all__ = ["Answer", "Gateway", "Said", "Use", "gateway", "make", "use"]

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Use:
    """A filter class with its options, spelt as in the configuration."""

    cls: type[Filter]
    options: Mapping[str, Any] = field(default_factory=dict)


def use(cls: type[Filter], **options: Any) -> Use:
    """``cls`` with options, spelt as in the configuration: ``use(Throttle, wait="250ms")``."""
    return Use(cls, options)


def make(cls: type[Filter], **options: Any) -> Any:
    """A filter as the gateway makes it: options checked and filled in, ``prepare`` called.

    Raises ValueError with every finding when the options are wrong, GatewayError when ``prepare`` raises.
    """
    snapshot = _checked(
        _config(
            [Use(cls, options)],
            route={},
            listener={},
            config={},
            bind="127.0.0.1:1",
            addresses={"upstream": "127.0.0.1:2"},
        )
    )
    return make_filters(snapshot.gateway.filters)["filter0"]


class Answer(NamedTuple):
    """What a client got."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def get(self, name: str) -> str | None:
        """The first value of a header field, or None."""
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> list[str]:
        """Every value of a header field."""
        return [value for known, value in self.headers if known.lower() == name.lower()]

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Said(NamedTuple):
    """A line of the error log."""

    kind: str
    message: str
    fields: dict[str, Any]


class _ErrorLog:
    def __init__(self) -> None:
        self.said: list[Said] = []

    def say(self, kind: str, message: str, **fields: Any) -> None:
        self.said.append(Said(kind, message, fields))


class Gateway:
    """A running gateway; :func:`gateway` makes it.

    ``upstream``: the server behind it. ``upstreams``: by name, when a test asked for several. ``port``: where it
    listens, on loopback.
    """

    def __init__(self, snapshot: Snapshot, listening: socket.socket, upstreams: Mapping[str, ScriptedUpstream]) -> None:
        self.upstreams = dict(upstreams)
        self.upstream = next(iter(self.upstreams.values()))
        self.port: int = listening.getsockname()[1]
        self.loop = uvloop.new_event_loop()
        self._snapshot = snapshot
        self._listening = listening
        self._error_log = _ErrorLog()
        self._region = Region.create(1, **room_of(snapshot.gateway.server.limits_memory))
        self._region.snapshot_number = snapshot.number
        self._log = self._region.slot(0).log_reader()
        self._lines: list[dict[str, Any]] = []
        self._failure: BaseException | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._thread.start()
        self._started.wait(TIMEOUT_S)
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            self._region.close()
            raise self._failure

    @property
    def errors(self) -> list[Said]:
        """What the error log says, so far."""
        return list(self._error_log.said)

    def request(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | str | None = None
    ) -> Answer:
        """Sends a request on a connection of its own and returns the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, target, body, dict(headers or {}))
            got = connection.getresponse()
            return Answer(got.status, tuple(got.getheaders()), got.read())
        finally:
            connection.close()

    def get(self, target: str = "/", headers: Mapping[str, str] | None = None) -> Answer:
        """GET."""
        return self.request("GET", target, headers)

    def post(self, target: str, body: bytes | str, headers: Mapping[str, str] | None = None) -> Answer:
        """POST."""
        return self.request("POST", target, headers, body)

    def log(self, count: int) -> list[dict[str, Any]]:
        """The first ``count`` lines of the access log, one for each finished exchange; waits until they are there."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            self._lines += [json.loads(line) for line in self._log.read(1 << 20).decode().splitlines()]
            if len(self._lines) >= count:
                return self._lines[:count]
            if time.monotonic() > deadline:
                raise TimeoutError(f"the access log has {len(self._lines)} lines, not {count}")
            time.sleep(0.002)

    def close(self) -> None:
        """Ends it."""

        def end() -> None:
            self._server.close()
            self.loop.call_soon(self.loop.stop)

        self.loop.call_soon_threadsafe(end)
        self._thread.join(TIMEOUT_S)
        self._region.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._begin())
        except BaseException as error:  # noqa: BLE001 - raised where the test waits
            self._failure = error
            self.loop.close()
            self._started.set()
            return
        self._started.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    async def _begin(self) -> None:
        listeners = [(self._snapshot.gateway.listeners[0], os.dup(self._listening.fileno()))]
        self._server = Server(self.loop, self._snapshot, 0, self._region, self._error_log, listeners=listeners)
        await self._server.prepare(self._snapshot)
        self._server.start()

    def __repr__(self) -> str:
        return f"<Gateway 127.0.0.1:{self.port}>"


@contextmanager
def gateway(
    *filters: type[Filter] | Use,
    route: Mapping[str, Any] | None = None,
    listener: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    upstreams: tuple[str, ...] = ("upstream",),
    answer: Callable[..., Any] | Any = None,
) -> Iterator[Gateway]:
    """A gateway whose one route has ``filters``, in this order, and leads to an upstream that answers ``answer``.

    route, listener: further fields of theirs. config: further tables, ``{"server": {"trusted_proxies": …}}``; its
    ``routes`` stand beside the one there is, and may name the filters: "filter0", "filter1", …
    Raises ValueError with every finding when that is no configuration.
    """
    uses = [one if isinstance(one, Use) else Use(one) for one in filters]
    servers = {name: ScriptedUpstream(answer) for name in upstreams}
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    try:
        bind = f"127.0.0.1:{listening.getsockname()[1]}"
        addresses = {name: server.address for name, server in servers.items()}
        settings = _config(
            uses, route=route or {}, listener=listener or {}, config=config or {}, bind=bind, addresses=addresses
        )
        made = Gateway(_checked(settings), listening, servers)
        try:
            yield made
        finally:
            made.close()
    finally:
        listening.close()
        for server in servers.values():
            server.close()


def _config(
    uses: list[Use],
    *,
    route: Mapping[str, Any],
    listener: Mapping[str, Any],
    config: Mapping[str, Any],
    bind: str,
    addresses: Mapping[str, str],
) -> dict[str, Any]:
    filters = {f"filter{number}": {"class": target_of(one.cls), **one.options} for number, one in enumerate(uses)}
    own: dict[str, Any] = {"name": "test", "filters": list(filters)}
    if not {"respond", "redirect", "upstream"} & route.keys():
        own["upstream"] = next(iter(addresses))
    server = {"workers": 1, **config.get("server", {})}
    server["filter_packages"] = ["tidegate.testing", *server.get("filter_packages", [])]
    tables = {
        **config,
        "server": server,
        "listeners": [{"bind": bind, **listener}],
        "upstreams": {name: {"endpoints": [address]} for name, address in addresses.items()}
        | config.get("upstreams", {}),
        "filters": filters | config.get("filters", {}),
        "routes": [{**own, **route}, *config.get("routes", [])],
    }
    return {name: table for name, table in tables.items() if table}


def _checked(config: dict[str, Any]) -> Snapshot:
    """The snapshot of a configuration; JSON is YAML, and that is read."""
    snapshot, findings = check_text(json.dumps(config, indent=1), file="test.yaml", is_yaml=True)
    if snapshot is None:
        raise ValueError("\n".join(f"{finding.path}: {finding.message}" for finding in findings))
    return snapshot
