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


class Exact:
    """Has a lender ask its store for each request, of which each has cells of its own."""

    def __init__(self, lender: Lender) -> None:
        self._lender = lender

    def low(self, which: int) -> int:
        """Nothing is borrowed ahead."""
        return self._lender.low(which)

    def borrow(self, which: int, fingerprint: int, fleet: int, least: int) -> None:
        """Asks for one request."""
        del fleet  # the cell of a request is not the key of the fleet
        self._lender.take_all([self._lender.ticket(which, fingerprint, KEY, KEY, least)])

    def decide(self, which: int, fingerprint: int, fleet: int, cost: int) -> None:
        """Without the store's word."""
        del fleet
        self._lender.decide_ticket(self._lender.ticket(which, fingerprint, KEY, KEY, cost))


class Node:
    """A table, a lender, and counts of what was asked of them."""

    def __init__(self, mode: str, port: int, name: str, allowance: RateAllowance) -> None:
        # In exact mode each request has a cell of its own, for as long as a lease lives.
        keys = 8 if mode == "lease" else 65_536
        region = Region.create(1, quotas=bytes_for(keys))
        table = LeaseTable(region.mapping, 0, keys)
        region.close()
        link = make_link("main", Redis(url=f"redis://127.0.0.1:{port}"), lambda *_, **__: None, seed=hash(name))
        self.nodes = Nodes(lambda: link, name)
        settings = Settings(rate="1/s", scope="fleet", store="main", mode=mode)
        self.lender = Lender(
            "shared",
            settings,
            [allowance],
            table,
            link=lambda: link,
            nodes=self.nodes,
            now_ms=lambda: time.monotonic_ns() // 1_000_000,
        )
        self.borrows: Lender | Exact = self.lender if mode == "lease" else Exact(self.lender)
        self.limit = LeasedLimit(table, 0, self.borrows)
        self.chance = random.Random(name)
        self.mode = mode
        self.admitted: list[float] = []
        self.refused = self.capped = 0
        self.longest_s = 0.0

    def lease(self) -> int:
        """Where a request looks for its credits."""
        return KEY if self.mode == "lease" else self.chance.getrandbits(64)

    def verdict(self, lease: int) -> int:
        """What a request is told at once."""
        found = self.limit.take(lease, time.monotonic_ns())
        if found == 0:
            self.admitted.append(time.monotonic())
        elif found != PENDING:
            self.refused += 1
        return found

    async def wait(self, lease: int) -> None:
        """One that looks again each millisecond, until its cap."""
        began = time.monotonic()
        while time.monotonic() - began < CAP_S:
            await asyncio.sleep(0.001)
            if self.verdict(lease) != PENDING:
                self.longest_s = max(self.longest_s, time.monotonic() - began)
                return
        self.capped += 1
        self.borrows.decide(0, lease, KEY, 1)
        self.refused += self.verdict(lease) == PENDING
        self.longest_s = max(self.longest_s, time.monotonic() - began)

    async def is_ready(self, nodes: int) -> None:
        """Returns when it is connected and knows how many there are."""
        self.nodes.begin()
        while self.nodes.count < nodes:  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.05)

    async def run(self, until_s: float, per_s: float) -> None:
        """Requests at random moments until then."""
        due = 0.0
        while time.monotonic() < until_s:
            await asyncio.sleep(self.chance.uniform(0.5, 1.5) * STEP_S)
            due += per_s * STEP_S
            while due >= 1:
                due -= 1
                if self.verdict(lease := self.lease()) == PENDING:
                    tasks.start(self.wait(lease), "a request")
        await asyncio.sleep(2 * CAP_S)


def main(mode: str, port: int, name: str, *, nodes: int, allowance: RateAllowance, per_s: float) -> None:
    """Says that it is ready, hears until when to run, and prints what became of the requests, as JSON."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def scenario() -> Node:
            node = Node(mode, port, name, allowance)
            await node.is_ready(nodes)
            print("ready", flush=True)
            began_s, until_s = map(float, (await asyncio.to_thread(sys.stdin.readline)).split())
            await asyncio.sleep(began_s - time.monotonic())
            await node.run(until_s, per_s)
            return node

        node = runner.run(scenario())
        counts = node.lender.counts
        told = {
            "admitted": node.admitted,
            "refused": node.refused,
            "capped": node.capped,
            "longest_s": node.longest_s,
            "asked": counts.asked,
        }
        print(json.dumps(told))


if __name__ == "__main__":
    mode, port, name, nodes, rate, burst, per_s = sys.argv[1:]
    allowance = RateAllowance(float(rate), 1, float(burst))
    main(mode, int(port), name, nodes=int(nodes), allowance=allowance, per_s=float(per_s))
