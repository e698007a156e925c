"""What there is to read about a Redis or Valkey server, over the gateway's own link.

Only commands that read, and none that holds the server: keys are walked with SCAN, some hundred at a time, until a
bound on their number or on time is reached, so of a large database a part is seen and that part's size is told. What a
server refuses (managed ones often have no CONFIG) is None.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.config.redis import Redis, parse_redis_url
from tidegate.config.values import Address, parse_address
from tidegate.errors import GatewayError
from tidegate.redis.client import Client
from tidegate.redis.link import Link, make_link, node_settings
from tidegate.redis.single import SingleLink

__all__ = ["BigKey", "RedisServer", "SlowCommand", "read_servers"]

_PINGS = 20
_KEYS_MAX = 5_000
_KEYS_S = 1.0
_PAGE = 250
_SLOW_ENTRIES = 64
_SETTINGS = "maxclients timeout tcp-keepalive tcp-backlog maxmemory maxmemory-policy slowlog-log-slower-than"
_BIG_KEYS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class BigKey:
    """A key and the memory that it takes, in bytes."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class SlowCommand:
    """An entry of the slow log."""

    command: str
    took_s: float
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisServer:
    """One server of a link at one moment; with ``error`` nothing else is known."""

    link: str
    address: str
    is_on_this_machine: bool = False
    error: str = ""
    info: Mapping[str, str] | None = None
    """INFO, by field."""
    config: Mapping[str, str] | None = None
    """CONFIG GET of what is judged; None: refused."""
    round_trips_s: tuple[float, ...] = ()
    slow: tuple[SlowCommand, ...] | None = None
    keys_total: int | None = None
    keys_seen: int = 0
    big_keys: tuple[BigKey, ...] | None = None
    """The largest that were seen, the largest first; None: refused."""

    def number(self, field: str) -> int | None:
        """A number of INFO; None when it is not there."""
        return _number(None if self.info is None else self.info.get(field))

    def setting(self, name: str) -> int | None:
        """A number of CONFIG; None when it is not told."""
        return _number(None if self.config is None else self.config.get(name))


Prefixes = Mapping[str, tuple[str, ...]]


def read_servers(links: Mapping[str, Redis], prefixes: Prefixes | None = None) -> tuple[RedisServer, ...]:
    """Every server of the configured links, asked one after the other.

    Args:
        links: ``[redis.NAME]`` by name.
        prefixes: By the link's name, what keys begin with that are looked at for their size, in this order; "": any.
    """
    return asyncio.run(_read_links(links, prefixes or {})) if links else ()


async def _read_links(links: Mapping[str, Redis], prefixes: Prefixes) -> tuple[RedisServer, ...]:
    return tuple(
        [one for name, settings in links.items() async for one in _read_link(name, settings, prefixes.get(name, ("",)))]
    )


async def _read_link(name: str, settings: Redis, prefixes: tuple[str, ...]) -> AsyncIterator[RedisServer]:
    target = parse_redis_url(settings.url).address
    if not settings.cluster:
        link = make_link(name, settings, _say_nothing)
        # Behind Sentinels the host is what they call the master, and which server that is only the link knows.
        yield await _read_server(name, link, target, prefixes, is_named=bool(settings.sentinels))
        return
    nodes = dict.fromkeys([target, *map(parse_address, settings.nodes)])
    for address in list(nodes):
        single = SingleLink(name, address, node_settings(settings), _say_nothing)
        with contextlib.suppress(GatewayError):
            nodes |= dict.fromkeys(_nodes_of(await single.control.call("CLUSTER", "NODES")))
        single.close()
    for address in nodes:
        single = SingleLink(name, address, node_settings(settings), _say_nothing)
        yield await _read_server(name, single, address, prefixes)


def _nodes_of(text: bytes) -> list[Address]:
    """The addresses in what CLUSTER NODES answers: ``ID IP:PORT@BUSPORT,NAME FLAGS …``."""
    words = [line.split() for line in text.decode(errors="replace").splitlines()]
    usable = [one for one in words if len(one) > 2 and not {"noaddr", "fail", "handshake"} & set(one[2].split(","))]
    found = []
    for one in usable:
        host, _, port = one[1].partition("@")[0].rpartition(":")
        if host:
            found.append(parse_address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))
    return found


async def _read_server(
    name: str, link: Link, address: Address, prefixes: tuple[str, ...], *, is_named: bool = False
) -> RedisServer:
    local = address.is_unix or (not is_named and (address.host == "localhost" or _is_loopback(address)))
    client = link.control
    try:
        info = _info(await client.call("INFO"))
        round_trips = await _round_trips(client)
        config = await _config(client)
        total = await _or_none(client, "DBSIZE")
        seen, big = await _keys(client, prefixes)
        return RedisServer(
            link=name,
            address=str(address),
            is_on_this_machine=local,
            info=info,
            config=config,
            round_trips_s=round_trips,
            slow=_slow(await _or_none(client, "SLOWLOG", "GET", _SLOW_ENTRIES), time.time()),
            keys_total=total,
            keys_seen=seen,
            big_keys=big,
        )
    except (GatewayError, OSError, ValueError) as error:
        return RedisServer(link=name, address=str(address), is_on_this_machine=local, error=str(error))
    finally:
        link.close()
        await asyncio.sleep(0)


def _say_nothing(kind: str, message: str, **fields: Any) -> None:
    """What the link would log is an error of the command as well, and told there."""
    del kind, message, fields


def _is_loopback(address: Address) -> bool:
    return address.ip is not None and address.ip.is_loopback


async def _or_none(client: Client, *command: str | int) -> Any:
    """The reply; None when the server does not let us."""
    from tidegate.redis.errors import ReplyError

    try:
        return await client.call(*command)
    except ReplyError:
        return None


async def _round_trips(client: Client) -> tuple[float, ...]:
    """One PING after the other: what a caller alone waits for."""
    taken = []
    for _ in range(_PINGS):
        began = time.perf_counter()
        await client.call("PING")
        taken.append(time.perf_counter() - began)
    return tuple(taken)


async def _config(client: Client) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for name in _SETTINGS.split():
        reply = await _or_none(client, "CONFIG", "GET", name)
        if reply is None:
            return None
        if isinstance(reply, Mapping):
            found |= {_text(key): _text(value) for key, value in reply.items()}
        elif len(reply) == 2:  # RESP2
            found[_text(reply[0])] = _text(reply[1])
    return found


async def _keys(client: Client, prefixes: tuple[str, ...]) -> tuple[int, tuple[BigKey, ...] | None]:
    """How many keys were looked at, and the largest of them."""
    sizes: dict[bytes, int] = {}
    for prefix in prefixes:
        # Each has its part of the time: one that has few keys among many others would use up all of it.
        deadline = time.monotonic() + _KEYS_S / len(prefixes)
        cursor: Any = b"0"
        while True:
            page = await _or_none(client, "SCAN", cursor, "MATCH", f"{_escaped(prefix)}*", "COUNT", _PAGE)
            if page is None:
                return len(sizes), None
            cursor, keys = page
            # Together: they travel in one write.
            told = await asyncio.gather(*(_or_none(client, "MEMORY", "USAGE", key) for key in keys))
            if keys and all(size is None for size in told):
                return len(sizes), None
            sizes |= {key: size for key, size in zip(keys, told, strict=True) if size is not None}
            if cursor == b"0" or len(sizes) >= _KEYS_MAX or time.monotonic() >= deadline:
                break
    largest = sorted(sizes, key=lambda key: -sizes[key])[:_BIG_KEYS_SHOWN]
    return len(sizes), tuple(BigKey(_text(key), sizes[key]) for key in largest)


def _escaped(prefix: str) -> str:
    return "".join(f"\\{c}" if c in "*?[]^\\" else c for c in prefix)


def _slow(reply: Any, now_s: float) -> tuple[SlowCommand, ...] | None:
    if reply is None:
        return None
    found = []
    for entry in reply:
        _, at_s, took_us, words, *_ = entry
        # Values may be secrets: the command and its key say enough.
        command = " ".join(_text(word)[:64] for word in words[:2])
        found.append(SlowCommand(command, took_us / 1e6, max(0.0, now_s - at_s)))
    return tuple(found)


def _info(reply: Any) -> dict[str, str]:
    pairs = (line.partition(":") for line in _text(reply).splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
