"""From the configuration of a Redis server to the link to it."""

import random
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from tidegate.config.redis import Redis, parse_redis_url
from tidegate.config.secrets import reveal
from tidegate.config.upstreams import UpstreamTLS
from tidegate.config.values import parse_address
from tidegate.redis.client import Client
from tidegate.redis.cluster import ClusterLink
from tidegate.redis.connection import Greeting
from tidegate.redis.lane import LaneSettings
from tidegate.redis.meters import Meters
from tidegate.redis.node import Node, NodeSettings
from tidegate.redis.sentinel import SentinelLink
from tidegate.redis.single import SingleLink
from tidegate.redis.statistics import LinkStatistics
from tidegate.redis.subscriber import Message, Subscriber

__all__ = ["Link", "make_link"]

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Link(Protocol):
    """What callers see of a link, whatever stands behind it."""

    name: str
    meters: Meters
    control: Client
    data: Client
    bulk: Client

    def subscriber(self, on_message: Callable[[Message], None], on_gap: Callable[[], None] = ...) -> Subscriber:
        """Hears what is published."""

    def nodes(self) -> Sequence[Node]:
        """The servers that commands go to."""

    def statistics(self) -> LinkStatistics:
        """Everything it knows of itself."""

    def close(self) -> None:
        """Ends its connections."""


def make_link(name: str, settings: Redis, say: Callable[..., None], *, seed: int = 0) -> Link:
    """The link that ``[redis.NAME]`` describes; nothing is connected before it is used.

    Args:
        name: NAME.
        settings: The checked configuration.
        say: Where changes of state are said: ``say(kind, message, **fields)``.
        seed: For the jitter of pauses; workers have different ones.
    """
    target = parse_redis_url(settings.url)
    chance = random.Random(f"{seed} {name}")
    of_node = node_settings(settings)
    if settings.cluster:
        seeds = [target.address, *map(parse_address, settings.nodes)]
        return ClusterLink(name, seeds, of_node, say, chance=chance)
    if settings.sentinels:
        greeting = replace(of_node.greeting, user="", password=_password(settings.sentinel_password), database=0)
        sentinels = [parse_address(one) for one in settings.sentinels]
        service = target.address.host
        return SentinelLink(name, service, sentinels, of_node, say, greeting=greeting, chance=chance)
    return SingleLink(name, target.address, of_node, say, chance=chance)


def node_settings(settings: Redis) -> NodeSettings:
    """Who one is to a server of this configuration, and the bounds of its lanes."""
    target = parse_redis_url(settings.url)
    tls = settings.tls if settings.tls is not None else UpstreamTLS() if target.is_tls else None
    greeting = Greeting(
        name=settings.client_name,
        user=settings.user or target.user,
        password=_password(settings.password),
        database=target.database,
        tls=None if tls is None else partial(_context, tls),
        tls_name="" if tls is None else tls.name or "",
        connect_timeout_s=settings.connect_timeout,
    )
    data = LaneSettings(
        batch=settings.batch,
        linger_s=settings.linger,
        timeout_s=settings.timeout,
        max_commands=settings.pool.max,
        max_bytes=settings.pool.bytes,
        max_waiting=settings.pool.wait,
        wait_timeout_s=settings.pool.wait_timeout,
    )
    # What must not wait does not linger either, and a large value takes the line for a while.
    control = replace(data, linger_s=0.0)
    bulk = replace(data, linger_s=0.0, timeout_s=settings.bulk_timeout)
    return NodeSettings(greeting, {"control": control, "data": data, "bulk": bulk})


def _password(reference: str | None) -> Callable[[], str] | None:
    return None if reference is None else partial(reveal, reference)


def _context(settings: UpstreamTLS) -> ssl.SSLContext:
    """Made for each connection, in a thread: a certificate that was renewed is used by the next one."""
    context = ssl.create_default_context(cafile=settings.ca)
    context.minimum_version = _VERSIONS[settings.min_version]
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert is not None:
        context.load_cert_chain(settings.cert, settings.key, password=_refuse_password)
    return context


def _refuse_password() -> str:
    # Without this OpenSSL would ask on the terminal, and the link would wait for an answer for ever.
    raise ValueError("the private key is encrypted; the gateway reads only keys without a passphrase")
