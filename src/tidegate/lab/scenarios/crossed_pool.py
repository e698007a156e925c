"""crossed-pool: connections kept under a name that the configuration gives to another service."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable

from tidegate.bench.chart import Line, Panel
from tidegate.lab.figure import Figure, at_least, at_most
from tidegate.lab.pieces.client import Load, ask
from tidegate.lab.pieces.service import Answer, Request
from tidegate.lab.scenario import Half, Scenario
from tidegate.lab.stage import Stage, until
from tidegate.lab.timeline import by_step
from tidegate.process import tasks

__all__ = ["CrossedPool", "NamedPool"]

SERVICES = ("orders", "payments")
NAMES = ("blue", "green")
PER_S = 60
PATIENCE_S = 30.0

Deploy = Callable[[dict[str, str], bool], Awaitable[None]]
"""Makes a configuration the active one: which name a service is behind, and whether connections are kept."""


def swapped(names: dict[str, str]) -> dict[str, str]:
    """Each service behind the other one's name."""
    orders, payments = (names[service] for service in SERVICES)
    return dict(zip(SERVICES, (payments, orders), strict=True))


class NamedPool:
    """The gateway of the incident: idle connections are kept under the name of an upstream.

    ``names``: which upstream a service is behind. ``addresses``: of the services.
    """

    def __init__(self, addresses: dict[str, str]) -> None:
        self.names = dict(zip(SERVICES, NAMES, strict=True))
        self.is_kept = False
        self._addresses = addresses
        self._idle: dict[str, list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = defaultdict(list)

    def __repr__(self) -> str:
        return f"<NamedPool { {name: len(idle) for name, idle in self._idle.items()} } idle>"

    def has_idle(self) -> bool:
        """Whether a connection waits under each name."""
        return all(self._idle[name] for name in NAMES)

    async def serve(self, request: Request) -> Answer:
        """Passes a request on, over whatever waits under the name of its upstream."""
        service = request.target.removeprefix("/")
        name = self.names[service]
        if self._idle[name]:
            reader, writer = self._idle[name].pop()
        else:
            host, _, port = self._addresses[service].rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {request.target} HTTP/1.1\r\nHost: {service}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        body = await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))
        if self.is_kept:
            self._idle[name].append((reader, writer))
        else:
            writer.close()
        return Answer(body=body)

    def close(self) -> None:
        """Closes what waits."""
        for idle in self._idle.values():
            for _, writer in idle:
                writer.close()


class _Deploys:
    """Clients of both services, and two changes of configuration under their load."""

    def __init__(self, stage: Stage, address: str) -> None:
        self.stage = stage
        self._address = address
        self._loads = {
            service: Load(address, per_s=PER_S / 2, target=f"/{service}", patience_s=PATIENCE_S) for service in SERVICES
        }

    async def run(self, deploy: Deploy, is_warm: Callable[[], bool]) -> None:
        """Keep-alive is switched on; then the services change places; ``is_warm`` says when connections wait."""
        names = dict(zip(SERVICES, NAMES, strict=True))
        part_s = self.stage.seconds / 3
        sending = [tasks.start(load.run(), "load of the lab") for load in self._loads.values()]
        await asyncio.sleep(part_s)
        await deploy(names, True)
        self.stage.timeline.mark("keep-alive on")
        for service, load in self._loads.items():
            load.told.append(await ask(self._address, f"/{service}", patience_s=PATIENCE_S))
        await until(is_warm, "connections wait to be used again")
        await asyncio.sleep(part_s)
        await deploy(swapped(names), True)
        self.stage.timeline.mark("deploy")
        await asyncio.sleep(part_s)
        for service, load in self._loads.items():
            load.told.append(await ask(self._address, f"/{service}", patience_s=PATIENCE_S))  # at least these
            load.stop()
        await asyncio.gather(*sending)

    def half(self, taken: int, connections: int) -> Half:
        """Figures and pictures."""
        timeline = self.stage.timeline
        told = [(service, one) for service, load in self._loads.items() for one in load.told]
        right = [one for service, one in told if one.is_served and one.body.decode() == service]
        wrong = [one for service, one in told if one.is_served and one.body.decode() != service]
        seconds = timeline.seconds
        lines = [
            Line("of the right service", by_step((one.ended_s - timeline.began_s for one in right), seconds), "blue"),
            Line("of the wrong one", by_step((one.ended_s - timeline.began_s for one in wrong), seconds), "orange"),
        ]
        return Half(
            figures={
                "asked": len(told),
                "wrong": len(wrong),
                "lost": len(told) - len(right) - len(wrong),
                "reused": taken - connections,
            },
            panels=[Panel("Answers", "per second", lines)],
            seconds=seconds,
            marks=timeline.marks,
            notes=self.stage.notes,
        )


class CrossedPool(Scenario):
    """The answers that somebody else had asked for."""

    name = "crossed-pool"
    title = "A kept connection answers for another service"
    incident = (
        "A gateway keeps idle connections in a pool under a name that the caller has chosen, not under where they "
        "lead. While connections were closed after each request nobody could see it. A hot configuration change "
        "switches keep-alive on, a later one gives the name to another service, and requests for one service travel "
        "down an idle connection to another, which answers them. Found in production: no test had ever used that "
        "pool twice."
    )
    miniature = (
        f"Two services that answer with their name, {PER_S} requests/s in all, the gateway of the incident between. "
        "Keep-alive is switched on, then the two services change places behind the names of their upstreams."
    )
    remedy = (
        "The same load and the same two changes, as reloads of a running Tidegate. Its connections are kept under "
        "their whole peer (scheme, address, TLS, source address), and compared when they are handed out."
    )
    figures = (
        Figure("asked", "requests"),
        Figure("wrong", "answers of the wrong service"),
        Figure("lost", "requests without an answer"),
        Figure("reused", "requests over a connection that was there"),
    )
    shows = (at_least("wrong", 2),)
    promises = (at_most("wrong", 0), at_most("lost", 0), at_least("reused", 2))

    async def as_it_happened(self, stage: Stage) -> Half:
        services = {name: await stage.service(_answers(name)) for name in SERVICES}
        pool = NamedPool({name: service.address for name, service in services.items()})
        gateway = await stage.service(pool.serve)

        async def deploy(names: dict[str, str], is_kept: bool) -> None:
            pool.names, pool.is_kept = names, is_kept

        deploys = _Deploys(stage, gateway.address)
        try:
            await deploys.run(deploy, pool.has_idle)
        finally:
            pool.close()
        return deploys.half(
            sum(one.taken for one in services.values()), sum(one.connections for one in services.values())
        )

    async def through_tidegate(self, stage: Stage) -> Half:
        services = {name: await stage.service(_answers(name)) for name in SERVICES}
        addresses = {name: service.address for name, service in services.items()}
        names = dict(zip(SERVICES, NAMES, strict=True))
        gateway = await stage.gateway(_configuration(addresses, names, is_kept=False), workers=1)

        async def deploy(names: dict[str, str], is_kept: bool) -> None:
            began_s = time.monotonic()
            await gateway.reload(_configuration(addresses, names, is_kept=is_kept))
            stage.notes.append(f"A reload under load took {time.monotonic() - began_s:.1f} s.")

        deploys = _Deploys(stage, gateway.address)
        await deploys.run(deploy, lambda: all(service.open_connections for service in services.values()))
        return deploys.half(
            sum(one.taken for one in services.values()), sum(one.connections for one in services.values())
        )


def _answers(name: str) -> Callable[[Request], Awaitable[Answer]]:
    async def answer(_: Request) -> Answer:
        return Answer(body=name.encode())

    return answer


def _configuration(addresses: dict[str, str], names: dict[str, str], *, is_kept: bool) -> str:
    parts = []
    for service in SERVICES:
        pool = "" if is_kept else "pool = { idle = 0 }\n"
        parts.append(f'[upstreams.{names[service]}]\nendpoints = ["{addresses[service]}"]\n{pool}')
    parts += [
        f'[[routes]]\nname = "{service}"\npath = "/{service}"\nupstream = "{names[service]}"\n' for service in SERVICES
    ]
    return "".join(parts)
