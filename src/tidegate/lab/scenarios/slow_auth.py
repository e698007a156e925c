"""slow-auth: an API holds a database connection while it asks a slow service who somebody is."""

from __future__ import annotations

import asyncio

from tidegate.bench.chart import Panel
from tidegate.lab.crowd import Crowd
from tidegate.lab.figure import Figure, at_least, at_most
from tidegate.lab.pieces.client import Load, ask
from tidegate.lab.pieces.service import Answer, Request
from tidegate.lab.pieces.workshop import Workshop
from tidegate.lab.scenario import Half, Scenario
from tidegate.lab.stage import Stage

__all__ = ["SlowAuth"]

CONNECTIONS = 5
QUERY_S, SLOW_S = 0.005, 3.0
PUBLIC_PER_S, PRIVATE_PER_S = 30, 30
PATIENCE_S = 2.0


class SlowAuth(Scenario):
    """The database that was idle, with every connection in use."""

    name = "slow-auth"
    title = "A slow authentication service holds every database connection"
    incident = (
        "An API takes a database connection for each request, then asks an authentication service who it is. That "
        "service becomes slow. Each request now holds its connection for seconds without a query, the pool is empty, "
        "and requests that need no authentication at all wait for a connection as well. The database is idle; "
        "everything is down."
    )
    miniature = (
        f"An API with {CONNECTIONS} database connections and queries of {QUERY_S * 1e3:g} ms; {PUBLIC_PER_S} public "
        f"and {PRIVATE_PER_S} private requests a second; an authentication service that takes {SLOW_S:g} s from the "
        f"moment at which private requests come. Public requests wait for {PATIENCE_S:g} s."
    )
    remedy = (
        "The same requests through Tidegate, where a filter asks who it is before the API hears of a request, and "
        "waits for 0.2 s at most, holding nothing; then it answers 503. The API's connections are for queries."
    )
    figures = (
        Figure("others", "public requests"),
        Figure("lost", "of them not served in time"),
        Figure("culprits", "private requests"),
        Figure("refused", "of them refused within 0.2 s"),
    )
    shows = (at_least("lost", 5),)
    promises = (at_most("lost", 0), at_least("refused", 1))

    async def as_it_happened(self, stage: Stage) -> Half:
        who = await stage.service(_slow)
        with Workshop(CONNECTIONS) as database:

            async def answer(request: Request) -> Answer:
                async def holding_a_connection() -> None:
                    if request.target == "/private":
                        await ask(who.address)
                    await asyncio.sleep(QUERY_S)

                await database.work(holding_a_connection)
                return Answer()

            api = await stage.service(answer)
            return await _run(stage, database, api.address)

    async def through_tidegate(self, stage: Stage) -> Half:
        who = await stage.service(_slow)
        with Workshop(CONNECTIONS) as database:
            api = await stage.service(database.handler(lambda _: QUERY_S))
            gateway = await stage.gateway(_configuration(api.address, who.address), workers=1)
            return await _run(stage, database, gateway.address)


async def _slow(_: Request) -> Answer:
    await asyncio.sleep(SLOW_S)
    return Answer()


async def _run(stage: Stage, database: Workshop, address: str) -> Half:
    stage.timeline.watch("waiting", lambda: database.waiting)
    crowd = Crowd(
        stage,
        Load(address, per_s=PUBLIC_PER_S, target="/public", patience_s=PATIENCE_S),
        Load(address, per_s=PRIVATE_PER_S, target="/private", patience_s=PATIENCE_S),
    )
    await crowd.run("private requests come")
    panel = Panel("Waiting for a database connection", "requests", [stage.timeline.line("waiting", "purple")])
    return crowd.half(("public", "private"), [panel])


def _configuration(api: str, who: str) -> str:
    return f"""
[filters.who]
class = "tidegate.lab.filters:AskWhoItIs"
service = "{who}"
timeout = "200ms"
[upstreams.api]
endpoints = ["{api}"]
[[routes]]
name = "private"
path = "/private"
upstream = "api"
filters = ["who"]
[[routes]]
name = "public"
upstream = "api"
"""
