"""How long values of 20 MB hold the loop, and what they do to a heartbeat on the control lane.

While they are written and read without pause on the lane for large values, a timer of one millisecond says how much
processor time its thread has spent since it fired last: the longest turn of the loop, whatever else the machine does. A
PING on the control lane says how long a small reply takes; ``all on one lane`` sends it behind the large values.

``in the server`` is how long one such command takes there (``INFO commandstats``), which nobody else is served
meanwhile, on whatever connection: a GET copies the value for its reply. ``in pieces`` asks for a quarter of a megabyte
at a time, one after the other, as caches read large values.
"""

import argparse
import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Sequence

import uvloop

from benchmarks import goals, table
from benchmarks.processes import CONTENDER_CORE
from benchmarks.redis.server import valkey
from tidegate.config.values import Address
from tidegate.redis.lane import LaneSettings
from tidegate.redis.node import LANES, NodeSettings
from tidegate.redis.single import SingleLink

SIZE = 20_000_000
PIECE = 256 << 10
SECONDS = 5.0


def at_share(values: list[float], share: float) -> float:
    """The value, in milliseconds, that so many of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000


async def beside(
    ask: Callable[[], Awaitable[object]] | None, ping: Callable[[], Awaitable[object]]
) -> dict[str, float]:
    """Turns of the loop and lateness of PINGs while ``ask`` is asked again and again."""
    loop = asyncio.get_running_loop()
    until = loop.time() + SECONDS
    turns: list[float] = []
    pings: list[float] = []

    async def timer() -> None:
        while loop.time() < until:
            before = time.thread_time()
            await asyncio.sleep(0.001)
            turns.append(time.thread_time() - before)

    async def heartbeat() -> None:
        while loop.time() < until:
            began = time.perf_counter()
            await ping()
            pings.append(time.perf_counter() - began)
            await asyncio.sleep(0.002)

    async def large() -> None:
        while ask is not None and loop.time() < until:
            await ask()

    await asyncio.gather(timer(), heartbeat(), large())
    return {"turn_p99": at_share(turns, 0.99), "turn_max": at_share(turns, 1), "ping_p99": at_share(pings, 0.99)}


def in_server(said: bytes, command: str) -> float | None:
    """Milliseconds that one command has taken in the server, of its ``INFO commandstats``."""
    found = re.search(rb"cmdstat_%s:.*usec_per_call=([\d.]+)" % command.encode(), said)
    return None if found is None else float(found[1]) / 1000


async def measure(port: int) -> tuple[list[dict[str, str]], list[goals.Verdict]]:
    """Idle, reading, writing, and everything on one lane."""
    settings = NodeSettings(lanes=dict.fromkeys(LANES, LaneSettings(timeout_s=60.0)))
    link = SingleLink("bench", Address(host="127.0.0.1", port=port), settings, print)
    value = bytes(SIZE)
    await link.bulk.set("large", value)
    await link.control.ping()

    async def in_pieces() -> None:
        for at in range(0, SIZE, PIECE):
            await link.bulk.call("GETRANGE", "large", at, at + PIECE - 1)

    cases = {
        "nothing else": (None, link.control.ping, ""),
        "GET of 20 MB": (lambda: link.bulk.get("large"), link.control.ping, "get"),
        "GET of 20 MB in pieces": (in_pieces, link.control.ping, "getrange"),
        "SET of 20 MB": (lambda: link.bulk.set("large", value), link.control.ping, "set"),
        "GET of 20 MB, all on one lane": (lambda: link.bulk.get("large"), link.bulk.ping, "get"),
    }
    found, in_server_ms = {}, {}
    for name, (ask, ping, command) in cases.items():
        await link.control.call("CONFIG", "RESETSTAT")
        found[name] = await beside(ask, ping)
        in_server_ms[name] = in_server(await link.control.call("INFO", "commandstats"), command)
    link.close()
    rows = [
        {
            "meanwhile": name,
            "turn p99": f"{one['turn_p99']:.2f} ms",
            "longest": f"{one['turn_max']:.2f} ms",
            "PING p99": f"{one['ping_p99']:.2f} ms",
            "in the server": "-" if in_server_ms[name] is None else f"{in_server_ms[name]:.2f} ms",
        }
        for name, one in found.items()
    ]
    slowest = max(found["GET of 20 MB"]["ping_p99"], found["SET of 20 MB"]["ping_p99"])
    pieces = found["GET of 20 MB in pieces"]["ping_p99"]
    note = f"of which a GET takes {in_server_ms['GET of 20 MB']:.2f} in the server"
    return rows, [
        goals.at_most("PING on the control lane, p99 in milliseconds, beside 20 MB", slowest, 5, note),
        goals.at_most("the same, read in pieces", pieces, 5),
    ]


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when the goal was missed."""
    argparse.ArgumentParser(prog="python -m benchmarks redis-large", description=__doc__).parse_args(argv)
    os.sched_setaffinity(0, {CONTENDER_CORE})
    with valkey() as (port, _), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows, verdicts = runner.run(measure(port))
    print(table.render(rows))
    return goals.exit_code(verdicts)
