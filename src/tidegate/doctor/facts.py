"""All that the doctor has read, in one place for whoever judges it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.config.schema import Gateway
from tidegate.config.values import Address, parse_address
from tidegate.doctor.machine import Machine
from tidegate.doctor.redis_server import RedisServer
from tidegate.doctor.running import Running
from tidegate.doctor.sockets import Connection

__all__ = ["Facts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known; each ``earlier_…`` is the same some seconds before, for what only a difference shows."""

    machine: Machine
    earlier_machine: Machine | None = None
    gateway: Gateway | None = None
    """The configuration; None: none was named and none is running."""
    workers: int = 1
    running: Running | None = None
    earlier_running: Running | None = None
    servers: tuple[RedisServer, ...] = ()
    connections: tuple[Connection, ...] | None = None
    """Of this machine, with ``--live``; None: not asked for, or the kernel does not tell."""
    earlier_connections: tuple[Connection, ...] | None = None

    @property
    def descriptors(self) -> int | None:
        """How many a worker may have: the running ones', or what a gateway started from here would get."""
        if self.running is not None and self.running.descriptors is not None:
            return self.running.descriptors
        return self.machine.descriptors_hard

    def endpoints(self) -> Iterator[tuple[str, Address]]:
        """Each configured address of an upstream, with the upstream's name."""
        for name, upstream in ({} if self.gateway is None else self.gateway.upstreams).items():
            for endpoint in upstream.endpoints:
                yield name, parse_address(endpoint.address)
