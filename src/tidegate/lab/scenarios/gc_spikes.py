"""gc-spikes: the collector stops a gateway every few seconds, for as long as it has much to look at."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import time
from collections.abc import Mapping

from tidegate.bench.chart import Line, Panel
from tidegate.lab.figure import Figure, at_least, at_most
from tidegate.lab.pieces.client import Load, ask
from tidegate.lab.pieces.gateway import Gateway
from tidegate.lab.pieces.program import Ready
from tidegate.lab.pieces.service import Answer, Request, Service
from tidegate.lab.scenario import Half, Scenario
from tidegate.lab.stage import Stage
from tidegate.lab.timeline import slowest_by_step

__all__ = ["GcSpikes", "worker"]

RECORDS = 200_000
LEAVES = 3_000
PER_S = 60
PATIENCE_S = 30.0


class _Pauses:
    """Full collections since they were last forgotten."""

    def __init__(self) -> None:
        self._began_s = 0.0
        self.forget()
        gc.callbacks.append(self._heard)

    def forget(self) -> None:
        """Begins to count."""
        self.count = 0
        self.total_s = self.longest_s = 0.0

    def _heard(self, phase: str, said: Mapping[str, int]) -> None:
        if said["generation"] < 2:
            return
        if phase == "start":
            self._began_s = time.perf_counter()
            return
        took_s = time.perf_counter() - self._began_s
        self.count += 1
        self.total_s += took_s
        self.longest_s = max(self.longest_s, took_s)


async def worker(ready: Ready) -> None:
    """A gateway as it was: much that lives long, and objects for each request that live for a while."""
    pauses = _Pauses()
    records = [{"row": [number]} for number in range(RECORDS)]
    left: list[list[list[int]]] = []
    gc.collect()
    pauses.forget()

    async def serve(request: Request) -> Answer:
        if request.target == "/pauses":
            told = {"collections": pauses.count, "held_ms": pauses.total_s * 1e3, "longest_ms": pauses.longest_s * 1e3}
            return Answer(body=json.dumps(told).encode())
        left.append([[number] for number in range(LEAVES)])
        del left[:-500]
        return Answer(body=str(records[len(left)]["row"][0]).encode())

    async with Service(serve) as service:
        ready(address=service.address)
        await asyncio.Event().wait()


class GcSpikes(Scenario):
    """The spike that came every few seconds."""

    name = "gc-spikes"
    title = "The collector stops the gateway every few seconds"
    incident = (
        "A gateway keeps much in memory (sessions, routes, tenants), and makes objects for each request. Every few "
        "seconds the garbage collector looks at all of it, and meanwhile nobody is served. The mean says nothing; "
        "the 99th percentile has a spike every few seconds, on every node, whatever the load of the services behind."
    )
    miniature = (
        f"A gateway in Python that holds {RECORDS:,} records, at {PER_S} requests/s. Each request leaves {LEAVES:,} "
        "objects for a while, as hundreds of requests would at the rates of the original, so that a few seconds here "
        "are minutes there."
    )
    remedy = (
        "The same load through one Tidegate worker whose filter holds as many records and reads one for each "
        "request. What it has when it begins to serve is frozen, which the collector passes by, and the way of a "
        "request through it makes no object that the collector tracks."
    )
    figures = (
        Figure("asked", "requests"),
        Figure("lost", "of them not served"),
        Figure("collections", "times that the collector looked at all"),
        Figure("held_ms", "time in which it held the gateway", "ms"),
        Figure("longest_ms", "longest of these pauses", "ms"),
    )
    shows = (at_least("collections", 1), at_least("longest_ms", 5))
    promises = (at_most("lost", 0), at_most("collections", 0))

    async def as_it_happened(self, stage: Stage) -> Half:
        gateway = await stage.program(f"{__name__}:worker")
        load = Load(gateway.facts["address"], per_s=PER_S, patience_s=PATIENCE_S)
        await load.run(stage.seconds)
        told = await ask(gateway.facts["address"], "/pauses", patience_s=PATIENCE_S)
        return _half(stage, load, json.loads(told.body))

    async def through_tidegate(self, stage: Stage) -> Half:
        gateway = await stage.gateway(_CONFIGURATION, workers=1)
        load = Load(gateway.address, per_s=PER_S, patience_s=PATIENCE_S)
        before = await _collector(gateway)
        await load.run(stage.seconds)
        after = await _collector(gateway)
        held_ms = 1e3 * (after["tidegate_gc_pause_seconds_total"] - before["tidegate_gc_pause_seconds_total"])
        collections = after["tidegate_gc_collections_total"] - before["tidegate_gc_collections_total"]
        return _half(stage, load, {"collections": collections, "held_ms": held_ms})


async def _collector(gateway: Gateway) -> dict[str, float]:
    """What the worker has counted of its collector; a second passes until it has told everything."""
    await asyncio.sleep(1.1)
    text = (await ask(gateway.admin, "/metrics", patience_s=PATIENCE_S)).body.decode()
    return {name: float(value) for name, value in re.findall(r"^(tidegate_gc_\w+)\{.*\} (\S+)$", text, re.MULTILINE)}


def _half(stage: Stage, load: Load, figures: dict[str, float]) -> Half:
    timeline = stage.timeline
    told = ((one.at_s - timeline.began_s, one.took_s) for one in load.told)
    slowest = slowest_by_step(told, timeline.seconds)
    figures |= {"asked": len(load.told), "lost": load.count(lambda told: not told.is_served)}
    return Half(
        figures=figures,
        panels=[Panel("Slowest request", "ms", [Line("of a tenth of a second", slowest, "orange")])],
        seconds=timeline.seconds,
        marks=timeline.marks,
        notes=stage.notes,
    )


_CONFIGURATION = f"""
[filters.records]
class = "tidegate.lab.filters:KeepsRecords"
records = {RECORDS}
[[routes]]
name = "all"
filters = ["records"]
respond = {{}}
"""
