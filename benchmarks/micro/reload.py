"""What a reload costs a worker that serves: the time it takes, and the longest that its loop is held meanwhile.

Snapshots of ten thousand routes, with a hundred upstreams, captures, header changes and a few regexes, are decoded,
prepared beside the active one, switched to and let go of, as a worker does it. ``held`` is the longest turn of the
loop, in time of the clock and in time of this thread: what other programs take of a busy machine is in the former only.
"""

import asyncio
import gc
import time
from dataclasses import dataclass, replace
from typing import Any

import uvloop

from benchmarks import table
from tidegate.config.check import check_text
from tidegate.config.snapshot import Snapshot
from tidegate.edge.server import Server
from tidegate.memory.region import Region
from tidegate.process import tasks
from tidegate.process.slices import collector_at_rest, in_slices

ROUTES = 10_000
UPSTREAMS = 100
TURNS = 5


def text_of(routes: int) -> str:
    """A configuration of so many routes."""
    parts = ['[server]\nworkers = 1\n\n[[listeners]]\nbind = "127.0.0.1:18080"\n\n[access_log]\npath = "off"\n']
    parts += [f'[upstreams.u{i}]\nendpoints = ["127.0.0.1:{20000 + i}"]\n' for i in range(UPSTREAMS)]
    for i in range(routes):
        kind = i % 4
        path = (f"/api/service-{i}/*", f"/api/service-{i}", f"/api/service-{i}/{{id}}", f"/s-{i}/{{id}}/items/*")[kind]
        if i % 100 == 99:
            path = f"~^/r-{i}/[0-9]+$"
        parts.append(
            f'[[routes]]\nname = "route-{i}"\nhosts = ["tenant-{i % 500}.example.com"]\npath = "{path}"\n'
            f'methods = ["GET", "POST"]\nupstream = "u{i % UPSTREAMS}"\n'
            f'request_headers = {{ set = {{ "X-Route" = "r{i}" }} }}\n'
        )
    return "\n".join(parts)


@dataclass
class Held:
    """Looks at every turn of a loop, and keeps the longest."""

    clock_ms: float = 0.0
    thread_ms: float = 0.0
    turns: int = 0

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            clock, thread = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0)
            self.clock_ms = max(self.clock_ms, (time.perf_counter() - clock) * 1e3)
            self.thread_ms = max(self.thread_ms, (time.thread_time() - thread) * 1e3)
            self.turns += 1


class Silent:
    """An error log that nobody reads."""

    def say(self, kind: str, message: str, **fields: Any) -> None:
        """Nothing."""


async def measure(routes: int) -> list[dict[str, str]]:
    """A row for each step: its time and the longest hold, best of some turns."""
    snapshot, findings = check_text(text_of(routes))
    assert snapshot is not None, findings
    data = [replace(snapshot, number=number).encode() for number in range(1, TURNS + 2)]
    del snapshot, findings
    region = Region.create(1)
    region.snapshot_number = 1
    first = Snapshot.decode(data[0])
    server = Server(asyncio.get_running_loop(), first, 0, region, Silent())
    await server.prepare(first)
    del first
    gc.collect()
    gc.freeze()
    steps: dict[str, list[tuple[float, float, float]]] = {
        "decode": [],
        "prepare": [],
        "switch, let go": [],
        "collect": [],
    }
    for number in range(2, TURNS + 2):

        async def step(name: str, work: Any) -> Any:
            held = Held()
            watch = tasks.start(held.watch(), "watch")
            await asyncio.sleep(0)
            began = time.perf_counter()
            result = await work
            await asyncio.sleep(0)
            steps[name].append(((time.perf_counter() - began) * 1e3, held.clock_ms, held.thread_ms))
            watch.cancel()
            return result

        async def switch(number: int = number) -> None:
            region.snapshot_number = number
            while server.statistics().snapshots > 1:  # noqa: ASYNC110 - each turn is what is measured
                await asyncio.sleep(0)

        async def collect() -> None:
            gc.collect(1)

        with collector_at_rest():
            another = await step("decode", in_slices(Snapshot.decoding(data[number - 1], with_text=False)))
            await step("prepare", server.prepare(another))
            del another
        await step("switch, let go", switch())
        await step("collect", collect())
    server.close()
    region.close()
    return [
        {
            "step": name,
            "ms": f"{min(one[0] for one in found):.1f}",
            "held, ms": f"{min(one[1] for one in found):.1f}",
            "held at worst": f"{max(one[1] for one in found):.1f}",
            "held, thread time, at worst": f"{max(one[2] for one in found):.1f}",
        }
        for name, found in steps.items()
    ]


def main() -> None:
    """Prints the table."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(measure(ROUTES))
    print(f"{ROUTES:,} routes, {UPSTREAMS} upstreams; the best of {TURNS} turns, and the worst")
    print(table.render(rows))
