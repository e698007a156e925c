"""heavy-call: a few hundred exports a minute take the places of a thousand small calls."""

from __future__ import annotations

from tidegate.bench.chart import Panel
from tidegate.lab.crowd import Crowd
from tidegate.lab.figure import Figure, at_least, at_most
from tidegate.lab.pieces.client import Load
from tidegate.lab.pieces.service import Request
from tidegate.lab.pieces.workshop import Workshop
from tidegate.lab.scenario import Half, Scenario
from tidegate.lab.stage import Stage

__all__ = ["HeavyCall"]

PLACES, HEAVY_PLACES = 4, 2
LIGHT_S, HEAVY_S = 0.005, 2.0
LIGHT_PER_S, HEAVY_PER_S = 30, 8
PATIENCE_S = 2.0


class HeavyCall(Scenario):
    """The exports that nobody had counted."""

    name = "heavy-call"
    title = "A few hundred heavy calls a minute sink an API"
    incident = (
        "An API answers thousands of small calls a minute in milliseconds each. A few hundred calls a minute are "
        "exports that take seconds. Counted as requests they are nothing, so no rate limit sees them; counted in "
        "places of the API's thread pool they are everything: soon each place has an export, and the small calls "
        "wait behind them."
    )
    miniature = (
        f"An API with {PLACES} places, {LIGHT_PER_S} small calls a second of {LIGHT_S * 1e3:g} ms, and "
        f"{HEAVY_PER_S * 60} exports a minute of {HEAVY_S:g} s each. Small calls wait for {PATIENCE_S:g} s. Places "
        "and rates are about a tenth of a real API's, the times are as they were."
    )
    remedy = (
        f"The same calls through Tidegate: exports have {HEAVY_PLACES} permits of their own and a short queue; what "
        "is beyond is refused at once and told which limit it was. The rest of the places stays with the small "
        "calls."
    )
    figures = (
        Figure("others", "small calls"),
        Figure("lost", "of them not served in time"),
        Figure("culprits", "exports"),
        Figure("served", "of them served"),
        Figure("refused", "of them refused at once"),
    )
    shows = (at_least("lost", 5),)
    promises = (at_most("lost", 0), at_least("refused", 1), at_least("served", 1))

    async def as_it_happened(self, stage: Stage) -> Half:
        with Workshop(PLACES) as workshop:
            service = await stage.service(workshop.handler(_takes))
            return await _run(stage, workshop, service.address)

    async def through_tidegate(self, stage: Stage) -> Half:
        with Workshop(PLACES) as workshop:
            service = await stage.service(workshop.handler(_takes))
            gateway = await stage.gateway(_configuration(service.address), workers=1)
            return await _run(stage, workshop, gateway.address)


def _takes(request: Request) -> float:
    return HEAVY_S if request.target == "/export" else LIGHT_S


async def _run(stage: Stage, workshop: Workshop, address: str) -> Half:
    stage.timeline.watch("waiting", lambda: workshop.waiting)
    crowd = Crowd(
        stage,
        Load(address, per_s=LIGHT_PER_S, patience_s=PATIENCE_S),
        # Who exports waits: that is what fills the places.
        Load(address, per_s=HEAVY_PER_S, target="/export", patience_s=2 * HEAVY_S),
    )
    await crowd.run("exports begin")
    panel = Panel("Waiting in the API", "calls", [stage.timeline.line("waiting", "purple")])
    return crowd.half(("small calls", "exports"), [panel])


def _configuration(upstream: str) -> str:
    return f"""
[limits.exports]
concurrency = {HEAVY_PLACES}
queue = 2
queue_timeout = "500ms"
[upstreams.api]
endpoints = ["{upstream}"]
[[routes]]
name = "exports"
path = "/export"
upstream = "api"
limits = ["exports"]
[[routes]]
name = "rest"
upstream = "api"
"""
