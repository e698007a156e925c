"""What was asked for: a target, a rate over time, how many connections; and the orders that it becomes."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

import msgspec

from tidegate.bench import keys
from tidegate.bench.order import Order, Server
from tidegate.bench.recipe import Request, head, render, with_keys
from tidegate.bench.websocket import frame

__all__ = ["Plan", "Target", "arrivals", "directed", "parse_url", "rate_of", "resolve"]

Stretch = tuple[float, float, float]
"""Seconds, and requests per second at their beginning and end."""
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_REACH_S = 5.0


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart; ``unix`` is the path of a socket to connect to instead of host and port."""

    scheme: str
    host: str
    port: int
    path: str
    unix: str | None = None

    @property
    def is_websocket(self) -> bool:
        """Whether messages are sent, not requests."""
        return self.scheme in ("ws", "wss")

    @property
    def is_tls(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme in ("https", "wss")

    @property
    def authority(self) -> str:
        """What the field Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}" + (f" at {self.unix}" if self.unix else "")


def parse_url(text: str, unix: str | None = None) -> Target:
    """The target of a URL with http, https, ws or wss; ValueError when it is none."""
    parts = urlsplit(text)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f'a target is written "http://HOST:PORT/PATH" (or https, ws, wss), got {text!r}')
    if parts.username is not None or parts.fragment:
        raise ValueError(f"a target has neither a user nor a fragment, got {text!r}")
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError:
        raise ValueError(f"a port is a number up to 65535, got {text!r}") from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, port, path, unix)


def resolve(target: Target) -> str:
    """The first address of the target that takes a connection: an IP literal, or ``unix:/path``.

    Raises:
        OSError: None does; the text says why the last one did not.
    """
    if target.unix is not None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_REACH_S)
            sock.connect(target.unix)
        return f"unix:{target.unix}"
    trouble: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM):
        with socket.socket(family, kind, protocol) as sock:
            sock.settimeout(_REACH_S)
            try:
                sock.connect(address)
            except OSError as error:
                trouble = error
                continue
            return str(address[0])
    raise trouble or OSError(f"{target.host} has no address")


def directed(orders: Sequence[Order], address: str) -> list[Order]:
    """The orders with this address for their server's."""
    replace = msgspec.structs.replace
    return [replace(order, server=replace(order.server, address=address)) for order in orders]


def rate_of(text: str) -> float:
    """Requests per second of ``1000``, ``1000/s`` or ``90/min``; ValueError when it is none."""
    number, _, period = text.partition("/")
    try:
        rate = float(number) / {"": 1, "s": 1, "min": 60, "h": 3600}[period]
    except (ValueError, KeyError):
        raise ValueError(f'a rate is written "1000", "1000/s" or "90/min", got {text!r}') from None
    if not 0 < rate < 1e8:
        raise ValueError(f"a rate is more than 0 and less than 100,000,000 a second, got {text!r}")
    return rate


def arrivals(
    seconds: float, warm_up_s: float, *, rate: str | None = None, ramp: str | None = None, steps: str | None = None
) -> list[Stretch] | None:
    """The rate over time, the warm-up first, at the rate that the rest begins with; None: closed loop.

    rate: one rate. ramp: two with a colon between. steps: several with commas between, each for as long as the others.
    """
    if sum(given is not None for given in (rate, ramp, steps)) > 1:
        raise ValueError("a rate, a ramp or steps: only one of them")
    if rate is not None:
        rest = [(seconds, rate_of(rate), rate_of(rate))]
    elif ramp is not None:
        first, colon, last = ramp.partition(":")
        if not colon:
            raise ValueError(f'a ramp is written "FROM:TO", got {ramp!r}')
        rest = [(seconds, rate_of(first), rate_of(last))]
    elif steps is not None:
        rates = [rate_of(one) for one in steps.split(",")]
        rest = [(seconds / len(rates), one, one) for one in rates]
    else:
        return None
    return [(warm_up_s, rest[0][1], rest[0][1]), *rest] if warm_up_s > 0 else rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A load as it was asked for."""

    target: Target
    requests: Sequence[Request] = field(default_factory=lambda: [Request()])
    seconds: float = 10.0
    warm_up_s: float = 0.0
    stretches: list[Stretch] | None = None
    is_poisson: bool = False
    connections: int = 64
    processes: int = 1
    patience_s: float = 10.0
    is_fresh: bool = False
    is_verified: bool = True
    ca: str | None = None
    keys: str | None = None
    prepared: int = 65_536
    """How many requests are made of a template with keys."""
    seed: int = 1

    def orders(self, address: str = "") -> list[Order]:
        """One for each process; ValueError when it cannot be sent as it is. The address may be filled in later."""
        if not self.seconds > 0:
            raise ValueError("a load lasts for some time, got 0 s")
        if self.is_poisson and self.stretches is None:
            raise ValueError("Poisson arrivals have a rate: -R, --ramp or --steps")
        if self.connections < self.processes:
            raise ValueError(f"{self.processes} processes want a connection each, got {self.connections}")
        texts, websocket = self._texts()
        server = Server(
            address=address,
            port=0 if self.target.unix else self.target.port,
            is_tls=self.target.is_tls,
            name=self.target.host,
            is_verified=self.is_verified,
            ca=self.ca,
        )
        share, left = divmod(self.connections, self.processes)
        return [
            Order(
                server=server,
                requests=texts,
                stretches=self.stretches,
                seconds=self.seconds,
                warm_up_s=self.warm_up_s,
                clients=share + (part < left),
                patience_s=self.patience_s,
                is_poisson=self.is_poisson,
                is_fresh=self.is_fresh,
                websocket=websocket,
                part=part,
                parts=self.processes,
                seed=self.seed,
            )
            for part in range(self.processes)
        ]

    def _texts(self) -> tuple[list[bytes], tuple[bytes, bytes] | None]:
        """What is sent again and again, and what opens a WebSocket."""
        requests = list(self.requests)
        if self.keys is not None:
            drawn = keys.parse(self.keys, Random(self.seed))
            share = max(1, self.prepared // len(requests))
            templates = [with_keys(request, drawn) for request in requests]
            requests = [next(template) for _ in range(share) for template in templates]
        if not self.target.is_websocket:
            return [render(one, self.target.authority, is_fresh=self.is_fresh) for one in requests], None
        if self.is_fresh:
            raise ValueError("a WebSocket is opened once: fresh connections are for requests")
        fields = head("", {"Host": self.target.authority, **requests[0].headers})[2:-2]
        return [frame(one.body) for one in requests], (self.target.path.encode("ascii"), fields)

    def described(self) -> dict[str, object]:
        """For reports: what was asked for, in plain words and numbers."""
        return {
            "target": str(self.target),
            "schedule": self._schedule(),
            "stretches": self.stretches,
            "is_poisson": self.is_poisson,
            "duration_s": self.seconds,
            "warm_up_s": self.warm_up_s,
            "connections": self.connections,
            "is_fresh": self.is_fresh,
            "processes": self.processes,
            "timeout_s": self.patience_s,
            "requests": len(self.requests),
            "keys": self.keys,
        }

    def _schedule(self) -> str:
        if self.stretches is None:
            return "closed loop, as fast as answers come"
        counted = self.stretches[1:] if self.warm_up_s > 0 else self.stretches
        kind = "Poisson arrivals" if self.is_poisson else "even arrivals"
        if len(counted) > 1:
            return f"{kind} in steps of " + ", ".join(f"{first:g}/s" for _, first, _ in counted)
        _, first, last = counted[0]
        return f"{kind}, {first:g}/s" if first == last else f"{kind}, {first:g}/s rising to {last:g}/s"
