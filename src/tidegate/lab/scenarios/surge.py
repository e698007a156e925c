"""surge: one tenant asks for more than a service can do, and all others wait behind it."""

from __future__ import annotations

from tidegate.bench.chart import Panel
from tidegate.lab.crowd import Crowd
from tidegate.lab.figure import Figure, at_least, at_most
from tidegate.lab.pieces.client import Load
from tidegate.lab.pieces.workshop import Workshop
from tidegate.lab.scenario import Half, Scenario
from tidegate.lab.stage import Stage

__all__ = ["Surge"]

PLACES, TAKES_S = 2, 0.04
CAPACITY = PLACES / TAKES_S
SURGE_PER_S, OTHERS_PER_S, TENANTS = 200, 15, 5
CONTRACT_PER_S = 15
PATIENCE_S = 2.0


class Surge(Scenario):
    """The tenant who took everything."""

    name = "surge"
    title = "One tenant's surge fills the service of all"
    incident = (
        "A service does 100 requests a second for many tenants. One of them starts a job that asks for several times "
        "as many. The service takes them in order, so everybody waits behind that one: soon longer than anybody has "
        "patience for, and it works off what nobody waits for any more. All tenants are down, for one."
    )
    miniature = (
        f"A service of {CAPACITY:g} requests/s ({PLACES} places, {TAKES_S * 1e3:g} ms each), half of the original's. "
        f"{TENANTS} tenants ask {OTHERS_PER_S} times a second together and wait for {PATIENCE_S:g} s; one more asks "
        f"{SURGE_PER_S} times a second."
    )
    remedy = (
        f"The same tenants through Tidegate: a contract of {CONTRACT_PER_S}/s for each, by the field that names the "
        "tenant, and a bound with a short queue on what is in the service at once. Who asks too often is told so at "
        "once."
    )
    figures = (
        Figure("others", "requests of the others"),
        Figure("lost", "of them not served in time"),
        Figure("culprits", "requests of the one"),
        Figure("served", "of them served in time"),
        Figure("refused", "of them refused at once"),
    )
    shows = (at_least("lost", 5),)
    promises = (at_most("lost", 0), at_least("refused", 1), at_least("served", 1))

    async def as_it_happened(self, stage: Stage) -> Half:
        with Workshop(PLACES) as workshop:
            service = await stage.service(workshop.handler(lambda _: TAKES_S))
            stage.timeline.watch("waiting", lambda: workshop.waiting)
            return await _run(stage, service.address)

    async def through_tidegate(self, stage: Stage) -> Half:
        with Workshop(PLACES) as workshop:
            service = await stage.service(workshop.handler(lambda _: TAKES_S))
            gateway = await stage.gateway(_configuration(service.address))
            stage.timeline.watch("waiting", lambda: workshop.waiting)
            return await _run(stage, gateway.address)


async def _run(stage: Stage, address: str) -> Half:
    crowd = Crowd(
        stage,
        Load(address, per_s=OTHERS_PER_S, fields=lambda at: {"X-Tenant": f"t{at % TENANTS}"}, patience_s=PATIENCE_S),
        Load(address, per_s=SURGE_PER_S, fields={"X-Tenant": "acme"}, patience_s=PATIENCE_S),
    )
    await crowd.run("the surge begins")
    panel = Panel("Waiting in the service", "requests", [stage.timeline.line("waiting", "purple")])
    return crowd.half(("others", "the one"), [panel])


def _configuration(upstream: str) -> str:
    return f"""
[limits.contract]
rate = "{CONTRACT_PER_S}/s"
burst = 5
key = "header:X-Tenant"
[limits.places]
concurrency = {PLACES}
queue = 100
queue_timeout = "{PATIENCE_S:g}s"
[upstreams.service]
endpoints = ["{upstream}"]
limits = ["places"]
[[routes]]
name = "all"
upstream = "service"
limits = ["contract"]
"""
