"""Limits that learn, each in front of a real backend that slows down and heals, beside what the simulator makes of it.

Three things happen to a gateway with two workers, in 140 seconds:

1. Ten backends, one behind each algorithm, a fixed limit and none, go from 50 ms to 800 ms under 100 requests/s each,
   and back. With 64 servers they can do 80 a second then; concurrency would go from 5 to 80.
2. Three times the load for a backend of 20 servers at 75 ms, clients that try again twice; a fifth of them critical, of
   which half the limit is the right.
3. Healthy backends, answers within 10 % of 50 ms, at a fifth and at four fifths of their load; and one for which 95 %
   of the answers are given by the gateway.
"""

import argparse
import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import uvloop

from benchmarks import table
from benchmarks.goals import Verdict, at_least, at_most, exit_code
from benchmarks.trouble.arrivals import Clients, Stream
from benchmarks.trouble.backends import Backend, Backends
from benchmarks.trouble.gateway import Running, gateway
from benchmarks.trouble.requests import come_first
from tidegate.lab.sim.contenders import CONTENDERS
from tidegate.lab.sim.outcome import Summary
from tidegate.lab.sim.play import play
from tidegate.lab.sim.scenario import BackendChange, Scenario, shipped
from tidegate.limits.adaptive.catalogue import ALGORITHMS, DEFAULT

DESCRIPTION = __doc__.partition("\n")[0]
FIXED, NONE = "fixed", "none"
RATE = 100.0
SERVERS = 64
QUICK_S, SLOW_S = 0.05, 0.8
SLOWS_AT, HEALS_AT, ENDS_AT = 15, 60, 80
CAPACITY = SERVERS / SLOW_S
SEEN_FROM = 30  # how long answers take is looked at when the slow latency has been learned

TRIPLE = Backend(20, 0.075)
TRIPLES_AT, TRIPLE_ENDS_AT = 10, 30
HEALTHY = Backend(20, QUICK_S)
HEALTHY_S = 20
CRITICAL_SHARE = 0.999


class Row(NamedTuple):
    """One limit in front of the backend that slows down: measured, and simulated."""

    name: str
    goodput: float
    p90_ms: float
    limits: tuple[int, int] | None
    recovered_s: int | None
    simulated: Summary

    def row(self) -> dict[str, str]:
        """For the table."""
        recovered, there = self.recovered_s, self.simulated.recovered_s
        return {
            "limit": self.name,
            "goodput": f"{self.goodput:.0%}",
            "simulated": f"{self.simulated.goodput:.0%}",
            "p90 ms": f"{self.p90_ms:.0f}",
            "from, to": "" if self.limits is None else f"{self.limits[0]} to {self.limits[1]}",
            "simulated from, to": ""
            if self.limits is None
            else f"{self.simulated.limit_least} to {self.simulated.limit_most}",
            "healed after s": "not" if recovered is None else str(recovered),
            "simulated s": "not" if there is None else str(there),
        }


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a goal is missed."""
    argparse.ArgumentParser(prog="python -m benchmarks adaptive", description=DESCRIPTION).parse_args(argv)
    come_first()
    return uvloop.run(_measure())


def scenario() -> Scenario:
    """The first part as the simulator plays it."""
    one = shipped()["slow_backend"]
    changes = (BackendChange(at_s=SLOWS_AT, latency_ms=SLOW_S * 1e3), BackendChange(HEALS_AT, QUICK_S * 1e3))
    backend = msgspec.structs.replace(one.backend, changes=changes)
    return msgspec.structs.replace(one, seconds=ENDS_AT, trouble=(SLOWS_AT, HEALS_AT), backend=backend)


def configuration(ports: Mapping[str, int]) -> str:
    """The gateway's, with an upstream, a route and a limit for each backend."""
    queue = 'queue = 20\nqueue_timeout = "200ms"\n'
    text = '[classes]\nnames = ["critical", "batch"]\ndefault = "batch"\nheader = "X-Class"\nheader_raises = true\n'
    for name, port in ports.items():
        limits = "" if name == NONE else f'limits = ["{name}"]\n'
        algorithm = name if name in ALGORITHMS else DEFAULT
        if name == FIXED:
            text += f"[limits.{name}]\nconcurrency = {scenario().fixed_limit}\n{queue}"
        elif name != NONE:
            initial = scenario().initial_limit
            text += f'[limits.{name}]\nadaptive = {{ algorithm = "{algorithm}", initial = {initial} }}\n{queue}'
            text += "shares = { critical = 0.5 }\n" if name == "triple" else ""
        filters = 'filters = ["cached"]\n' if name == "cache" else ""
        text += (
            f'[upstreams.{name}]\nendpoints = ["127.0.0.1:{port}"]\n{limits}'
            f'[[routes]]\nname = "{name}"\npath = "/{name}"\nupstream = "{name}"\ntimeout = "5s"\n{filters}'
        )
    return text + (
        '[filters.cached]\nclass = "tidegate.filters.fixed_answer:FixedAnswer"\nstatus = 200\n'
        'unless = { X-Miss = "1" }\n'
    )


async def _measure() -> int:
    backends = dict.fromkeys(CONTENDERS, Backend(SERVERS, QUICK_S))
    backends |= {"triple": TRIPLE, "light": HEALTHY, "busy": HEALTHY, "cache": HEALTHY}
    with Backends(backends) as there, contextlib.ExitStack() as stack:
        # The gateway comes first as well: what is looked at is the limits, not who else has the processors.
        starts = gateway(configuration(there.ports), server="workers = 2")
        running = await asyncio.to_thread(stack.enter_context, starts)
        slow, limits = await _slow(there, running)
        triple = await _triple(running)
        healthy, before, after = await _healthy(running)
    plan = scenario()
    rows = [
        Row(
            name,
            stream.goodput(SLOWS_AT, HEALS_AT) / CAPACITY,
            stream.quantile_s(SEEN_FROM, HEALS_AT, 0.9) * 1e3,
            limits.get(name),
            stream.recovered_s(HEALS_AT, ENDS_AT),
            (await asyncio.to_thread(play, plan, name)).summary(),
        )
        for name, stream in slow.items()
    ]
    print(
        f"{RATE:.0f} requests/s; {SERVERS} servers that take {SLOW_S * 1e3:.0f} ms instead of {QUICK_S * 1e3:.0f} from "
        f"second {SLOWS_AT} to {HEALS_AT}, and do {CAPACITY:.0f}/s then"
    )
    print(table.render([row.row() for row in rows]))
    return exit_code(verdicts(rows, triple, healthy, before["cache"], after["cache"]))


async def _slow(there: Backends, running: Running) -> tuple[dict[str, Stream], dict[str, tuple[int, int]]]:
    streams = {name: Stream(name, f"/{name}", lambda _: RATE) for name in CONTENDERS}
    seen: dict[str, list[int]] = {name: [] for name in ALGORITHMS}
    load = asyncio.create_task(Clients(running.public[1]).come(list(streams.values()), ENDS_AT))  # noqa: TID251 - awaited
    for second in range(1, ENDS_AT + 1):
        await asyncio.sleep(1.0)
        if second in (SLOWS_AT, HEALS_AT):
            there.take(dict.fromkeys(CONTENDERS, SLOW_S if second == SLOWS_AT else QUICK_S))
        if SLOWS_AT < second <= HEALS_AT:
            now = await learned(running)
            for name, values in seen.items():
                values.append(now[name])
    await load
    return streams, {name: (min(values), max(values)) for name, values in seen.items()}


async def learned(running: Running) -> dict[str, int]:
    """The adaptive limits as they are."""
    document: Any = await asyncio.to_thread(running.status)
    return {limit["name"]: limit["learned"][0]["limit"] for limit in document["limits"] if limit["adaptive"]}


async def _triple(running: Running) -> dict[str, Stream]:
    def rate(base: float) -> Any:
        return lambda now_s: base * (3 if now_s >= TRIPLES_AT else 1)

    streams = {
        name: Stream(name, "/triple", rate(base), fields=f"X-Class: {name}\r\n", retries=2)
        for name, base in (("critical", 40.0), ("batch", 160.0))
    }
    await Clients(running.public[1]).come(list(streams.values()), TRIPLE_ENDS_AT)
    return streams


async def _healthy(running: Running) -> tuple[dict[str, Stream], dict[str, int], dict[str, int]]:
    before = await learned(running)
    streams = {
        "light": Stream("light", "/light", lambda _: 80.0),
        "busy": Stream("busy", "/busy", lambda _: 320.0),
        "cache": Stream("cache", "/cache", lambda _: 400.0, nth=20, nth_fields="X-Miss: 1\r\n"),
    }
    await Clients(running.public[1]).come(list(streams.values()), HEALTHY_S)
    return streams, before, await learned(running)


def verdicts(
    rows: Sequence[Row], triple: Mapping[str, Stream], healthy: Mapping[str, Stream], before: int, after: int
) -> list[Verdict]:
    """What is asked of the default; the others are there to be compared with."""
    (default,) = [row for row in rows if row.name == DEFAULT]
    tripled = sum(one.goodput(TRIPLES_AT, TRIPLE_ENDS_AT) for one in triple.values())
    return [
        at_least(f"goodput of {DEFAULT} while the backend is slow", default.goodput, 0.9),
        at_most("seconds until it serves all again", default.recovered_s, 10),
        at_least(
            "share of critical requests served at three times the load",
            triple["critical"].share(TRIPLES_AT, TRIPLE_ENDS_AT),
            CRITICAL_SHARE,
        ),
        at_least("goodput at three times the load", tripled / (TRIPLE.servers / TRIPLE.latency_s), 0.9),
        at_least("served of a healthy backend's demand, at a fifth", healthy["light"].share(0, HEALTHY_S), 0.95),
        at_least("at four fifths", healthy["busy"].share(0, HEALTHY_S), 0.95),
        at_most("the limit changed, with 95 % answered by the gateway, by", abs(after - before), 0),
    ]
