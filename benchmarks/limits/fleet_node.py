"""One node of ``fleet-limits``, a process of its own: more requests than it may let in, and what became of them."""

import asyncio
import json
import random
import sys
import time

import uvloop

from tidegate.config.limits import Limit as Settings
from tidegate.config.redis import Redis
from tidegate.limits.fleet.allowance import RateAllowance
from tidegate.limits.fleet.lender import Lender
from tidegate.limits.fleet.nodes import Nodes
from tidegate.limits.leased import PENDING, LeasedLimit
from tidegate.memory.leases import LeaseTable
from tidegate.memory.region import Region
from tidegate.memory.tables import bytes_for
from tidegate.process import tasks
from tidegate.redis.link import make_link

KEY, CAP_S, STEP_S = 0x0123456789ABCDEF, 0.010, 0.005


class Node:
    """A table, a lender, and counts of what was asked of them."""

    def __init__(self, port: int, name: str, rate: float) -> None:
        region = Region.create(1, quotas=bytes_for(8))
        table = LeaseTable(region.mapping, 0, 8)
        region.close()
        link = make_link("main", Redis(url=f"redis://127.0.0.1:{port}"), lambda *_, **__: None, seed=hash(name))
        self.nodes = Nodes(lambda: link, name)
        settings = Settings(rate="1/s", scope="fleet", store="main")
        self.lender = Lender(
            "shared",
            settings,
            [RateAllowance(rate, 1)],
            table,
            link=lambda: link,
            nodes=self.nodes,
            now_ms=lambda: time.monotonic_ns() // 1_000_000,
        )
        self.limit = LeasedLimit(table, 0, self.lender)
        self.admitted: list[float] = []
        self.refused = 0
        self.longest_s = 0.0

    def verdict(self) -> int:
        """What a request is told at once."""
        found = self.limit.take(KEY, time.monotonic_ns())
        if found == 0:
            self.admitted.append(time.monotonic())
        elif found != PENDING:
            self.refused += 1
        return found

    async def wait(self) -> None:
        """One that looks again each millisecond, until its cap."""
        began = time.monotonic()
        while time.monotonic() - began < CAP_S:
            await asyncio.sleep(0.001)
            if self.verdict() != PENDING:
                self.longest_s = max(self.longest_s, time.monotonic() - began)
                return
        self.lender.decide(0, KEY, KEY, 1)
        self.refused += self.verdict() == PENDING
        self.longest_s = max(self.longest_s, time.monotonic() - began)

    async def is_ready(self, nodes: int) -> None:
        """Returns when it is connected and knows how many there are."""
        self.nodes.begin()
        while self.nodes.count < nodes:  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.05)

    async def run(self, until_s: float, per_s: float) -> None:
        """Requests at random moments until then."""
        chance, due = random.Random(self.nodes.name), 0.0
        while time.monotonic() < until_s:
            await asyncio.sleep(chance.uniform(0.5, 1.5) * STEP_S)
            due += per_s * STEP_S
            while due >= 1:
                due -= 1
                if self.verdict() == PENDING:
                    tasks.start(self.wait(), "a request")
        await asyncio.sleep(2 * CAP_S)


def main(port: int, name: str, nodes: int, rate: float, per_s: float) -> None:
    """Says that it is ready, hears until when to run, and prints what became of the requests, as JSON."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def scenario() -> Node:
            node = Node(port, name, rate)
            await node.is_ready(nodes)
            print("ready", flush=True)
            began_s, until_s = map(float, (await asyncio.to_thread(sys.stdin.readline)).split())
            await asyncio.sleep(began_s - time.monotonic())
            await node.run(until_s, per_s)
            return node

        node = runner.run(scenario())
        counts = node.lender.counts
        told = {"admitted": node.admitted, "refused": node.refused, "longest_s": node.longest_s, "asked": counts.asked}
        print(json.dumps(told))


if __name__ == "__main__":
    port, name, nodes, rate, per_s = sys.argv[1:]
    main(int(port), name, int(nodes), float(rate), float(per_s))
