"""One examination: looks twice, some seconds apart, and judges."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.cache.cache import prefix_of
from tidegate.config.redis import parse_redis_url
from tidegate.config.schema import Gateway
from tidegate.config.values import Address, parse_address
from tidegate.doctor.directions import compare_directions, judge_directions
from tidegate.doctor.facts import Facts
from tidegate.doctor.finding import Finding, Unseen
from tidegate.doctor.gateway_checks import GATEWAY_CHECKS
from tidegate.doctor.machine import Machine, read_machine
from tidegate.doctor.network_checks import NETWORK_CHECKS
from tidegate.doctor.redis_checks import REDIS_CHECKS
from tidegate.doctor.redis_server import RedisServer, read_servers
from tidegate.doctor.report import Report
from tidegate.doctor.resource_checks import RESOURCE_CHECKS
from tidegate.doctor.running import Running, read_running
from tidegate.doctor.sockets import Connection, read_connections
from tidegate.doctor.upstream_checks import UPSTREAM_CHECKS
from tidegate.process.cores import usable_cores

__all__ = ["CHECKS", "Patient", "examine", "judge"]

CHECKS = {**NETWORK_CHECKS, **RESOURCE_CHECKS, **GATEWAY_CHECKS, **UPSTREAM_CHECKS, **REDIS_CHECKS}
"""All that is judged on every examination, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Whom to look at."""

    gateway: Gateway | None = None
    """The configuration, checked."""
    status: Callable[[], Mapping[str, Any]] | None = None
    """Asks the running gateway for `/status`; raises OSError or RuntimeError when it does not answer."""
    prefixes: tuple[str, ...] = ()
    """Of Redis keys whose sizes are looked at; none: those of caches, and then any."""
    unseen: tuple[Unseen, ...] = ()
    """What could not be had, to begin with."""


def examine(
    patient: Patient,
    *,
    seconds: float = 2.0,
    is_live: bool = False,
    machine: Callable[[], Machine] = read_machine,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Looks twice and judges.

    Args:
        patient: Whom.
        seconds: Between the two looks; 0: one look is enough.
        is_live: Also compares the directions.
        machine: Reads this machine.
        sleep: Waits.
    """
    unseen = list(patient.unseen)
    earlier = machine() if seconds else None
    earlier_running = _running(patient, unseen) if seconds else None
    earlier_connections = _connections(unseen) if is_live else None
    began_s = time.monotonic()
    servers = _servers(patient)
    if seconds:
        sleep(max(0.0, seconds - (time.monotonic() - began_s)))
    running = _running(patient, unseen)
    facts = Facts(
        machine=machine(),
        earlier_machine=earlier,
        gateway=patient.gateway,
        workers=_workers(patient.gateway, running),
        running=running,
        earlier_running=earlier_running,
        servers=servers,
        connections=_connections(unseen) if is_live else None,
        earlier_connections=earlier_connections,
    )
    report = judge(facts, unseen)
    if facts.connections is None:
        return report
    directions = compare_directions(facts, _peers(facts), _ports(facts))
    said = [*report.findings, *report.unseen, *judge_directions(directions)]
    return Report.of(said, (*report.looked, "directions"), directions)


def judge(facts: Facts, unseen: list[Unseen] | None = None) -> Report:
    """The findings of all checks; one that fails by itself could not look, and keeps no other from it."""
    said: list[Finding | Unseen] = list(unseen or ())
    for name, check in CHECKS.items():
        try:
            said += check(facts)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            said.append(Unseen(name, f"what it read makes no sense ({type(error).__name__}: {error})"))
    return Report.of(said, CHECKS)


def _running(patient: Patient, unseen: list[Unseen]) -> Running | None:
    if patient.status is None:
        return None
    try:
        return read_running(patient.status())
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        unseen.append(Unseen("running-gateway", f"it does not say how it is: {error}"))
        return None


def _servers(patient: Patient) -> tuple[RedisServer, ...]:
    gateway = patient.gateway
    if gateway is None:
        return ()
    prefixes = {name: patient.prefixes or (*_prefixes(gateway, name), "") for name in gateway.redis}
    return read_servers(gateway.redis, prefixes)


def _prefixes(gateway: Gateway, link: str) -> tuple[str, ...]:
    """What the keys of caches on that link begin with: they are looked at first."""
    return tuple(dict.fromkeys(prefix_of(name, cache) for name, cache in gateway.cache.items() if cache.redis == link))


def _connections(unseen: list[Unseen]) -> tuple[Connection, ...] | None:
    try:
        return read_connections()
    except OSError as error:
        unseen.append(Unseen("directions", f"the kernel does not list connections: {error.strerror or error}"))
        return None


def _workers(gateway: Gateway | None, running: Running | None) -> int:
    if running is not None and running.workers:
        return len({one.index for one in running.workers})
    said = "auto" if gateway is None else gateway.server.workers
    return usable_cores() if said == "auto" else said


def _peers(facts: Facts) -> dict[tuple[str, int], str]:
    """What each address is called that the gateway connects to; names are looked up here and now."""
    found: dict[tuple[str, int], str] = {}
    for name, address in facts.endpoints():
        found |= dict.fromkeys(_resolved(address), f"upstream {name}")
    for name, settings in ({} if facts.gateway is None else facts.gateway.redis).items():
        texts = (*settings.sentinels, *settings.nodes)
        for address in (parse_redis_url(settings.url).address, *map(parse_address, texts)):
            found |= dict.fromkeys(_resolved(address), f"redis {name}")
    return found


def _resolved(address: Address) -> list[tuple[str, int]]:
    if address.is_unix:
        return []
    try:
        told = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [(str(place[0]), int(place[1])) for *_, place in told]


def _ports(facts: Facts) -> list[int]:
    listeners = () if facts.gateway is None else facts.gateway.listeners
    return [address.port for one in listeners if not (address := parse_address(one.bind)).is_unix]
