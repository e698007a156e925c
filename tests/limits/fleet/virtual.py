"""A fleet in virtual time: lenders as they are, tables as they are, and a store that is a bucket for each key.

Nobody sleeps: the loop's clock is moved to when something is due next. Nodes have clocks of their own, which differ.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, cast

from tests.limits.fleet.bucket import Bucket
from tests.limits.fleet.permit_book import PermitBook

from tidegate.config.limits import Limit as Settings
from tidegate.errors import GatewayError, Kind
from tidegate.limits.fleet.allowance import RateAllowance
from tidegate.limits.fleet.lender import Lender
from tidegate.limits.fleet.nodes import Nodes
from tidegate.limits.fleet.scripts import borrow_rate, count_nodes, hold_permits
from tidegate.limits.leased import PENDING, LeasedLimit
from tidegate.memory.leases import LeaseTable
from tidegate.memory.region import Region
from tidegate.memory.tables import bytes_for
from tidegate.process import tasks

KEY = 0x0123456789ABCDEF
CAP_MS = 10


class _Skipping(selectors.SelectSelector):
    """Waits for nothing: what would be waited for is when it is due already."""

    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.skipped_s += timeout or 0.0
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time goes on when it waits."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return 1000.0 + self._skipping.skipped_s


class Store:
    """What a link's control lane is to a lender: scripts by their digest, in virtual time."""

    def __init__(self, loop: VirtualLoop, chance: random.Random, latency_s: float = 0.0005) -> None:
        self._loop = loop
        self._chance = chance
        self.latency_s = latency_s
        self.is_away = False
        self.buckets: dict[str, Bucket] = {}
        self.permits: dict[str, PermitBook] = {}
        self.nodes: dict[str, float] = {}
        self.commands = 0
        self._before: list[tuple[float, dict[str, float]]] = []
        self.control = self

    def within(self, timeout_s: float) -> _Within:
        return _Within(self, timeout_s)

    def fail_over(self, lost_s: float) -> None:
        """A replica goes on that has not heard of the last moments."""
        wanted = self._loop.time() - lost_s
        kept = [state for at, state in self._before if at <= wanted]
        self.buckets = {key: Bucket(arrival) for key, arrival in (kept[-1] if kept else {}).items()}

    async def call(self, timeout_s: float, words: tuple[Any, ...]) -> Any:
        there_s = self._chance.uniform(0.2, 1.0) * self.latency_s
        back_s = self._chance.uniform(0.2, 1.0) * self.latency_s
        if self.is_away or there_s + back_s > timeout_s:
            await asyncio.sleep(min(timeout_s, there_s + back_s))
            raise GatewayError(Kind.CONNECTION_TERMINATED, "the store is away")
        await asyncio.sleep(there_s)
        if self.is_away:
            raise GatewayError(Kind.CONNECTION_TERMINATED, "the store is away")
        self.commands += 1
        answer = self._run(words)
        await asyncio.sleep(back_s)
        return answer

    def _run(self, words: tuple[Any, ...]) -> Any:
        _, digest, _, key, *args = words
        now_us = round(self._loop.time() * 1e6)
        if digest == count_nodes.digest:
            self.nodes[args[0]] = self._loop.time()
            gone_s = args[1] / 1000
            self.nodes = {name: at for name, at in self.nodes.items() if at > self._loop.time() - gone_s}
            return len(self.nodes)
        if digest == hold_permits.digest:
            maximum, name, *words = args
            return list(self.permits.setdefault(key, PermitBook()).hold(now_us // 1000, maximum, name, *words))
        assert digest == borrow_rate.digest
        self._before.append((self._loop.time(), {name: one.arrival for name, one in self.buckets.items()}))
        self._before = [one for one in self._before if one[0] > self._loop.time() - 5]
        interval, holds, least, wanted, *owed = args
        bucket = self.buckets.setdefault(key, Bucket())
        return list(bucket.borrow(now_us, float(interval), holds, least, wanted, *owed))


class _Within:
    def __init__(self, store: Store, timeout_s: float) -> None:
        self._store, self._timeout_s = store, timeout_s

    def call(self, *words: Any) -> Coroutine[Any, Any, Any]:
        return self._store.call(self._timeout_s, words)


class Node:
    """One gateway: a table, a lender, and a clock that is its own."""

    def __init__(
        self,
        loop: VirtualLoop,
        store: Store,
        name: str,
        *,
        settings: Settings,
        allowance: RateAllowance,
        ahead_s: float,
    ) -> None:
        region = Region.create(1, quotas=bytes_for(8))
        table = LeaseTable(region.mapping, 0, 8)
        region.close()
        self._loop = loop
        self._ahead_s = ahead_s
        self.nodes = Nodes(lambda: cast(Any, store), name)
        self.lender = Lender(
            "played",
            settings,
            [allowance],
            table,
            link=lambda: cast(Any, store),
            nodes=self.nodes,
            now_ms=self.now_ms,
        )
        self.limit = LeasedLimit(table, 0, self.lender)
        self.admitted: list[float] = []
        self.refused = 0
        self.longest_wait_s = 0.0

    def now_ms(self) -> int:
        return int((self._loop.time() + self._ahead_s) * 1000)

    async def request(self) -> bool:
        """One request, as an exchange goes about it."""
        began = self._loop.time()
        for _ in range(CAP_MS):
            if (verdict := self._verdict()) != PENDING:
                break
            await asyncio.sleep(0.001)
        if verdict == PENDING:
            self.lender.decide(0, KEY, KEY, 1)
            verdict = self._verdict()
        self.longest_wait_s = max(self.longest_wait_s, self._loop.time() - began)
        return verdict == 0

    async def demand(self, per_s: float, until_s: float, chance: random.Random) -> None:
        """Requests at random moments, so many a second, until then on the loop's clock."""
        waiting: set[asyncio.Task[bool]] = set()
        while self._loop.time() < until_s:
            step_s = chance.uniform(0.001, 0.009)
            await asyncio.sleep(step_s)
            for _ in range(int(per_s * step_s + chance.random())):
                # Whoever gets credits, or a refusal, waits for nothing.
                if self._verdict() != PENDING:
                    continue
                task = tasks.start(self.request(), "a request")
                waiting.add(task)
                task.add_done_callback(waiting.discard)
        await asyncio.gather(*waiting)

    def _verdict(self) -> int:
        verdict = self.limit.take(KEY, int((self._loop.time() + self._ahead_s) * 1e9))
        if verdict == 0:
            self.admitted.append(self._loop.time())
        elif verdict != PENDING:
            self.refused += 1
        return verdict

    def close(self) -> None:
        self.nodes.close()
        self.lender.close()


class Fleet:
    """Nodes that share a store."""

    def __init__(
        self, loop: VirtualLoop, count: int, allowance: RateAllowance, seed: int, policy: str = "share"
    ) -> None:
        self.loop = loop
        self.chance = random.Random(seed)
        self.allowance = allowance
        self.store = Store(loop, self.chance)
        settings = Settings(rate="1/s", scope="fleet", store="main", on_store_failure=cast(Any, policy), keys=64)
        self.nodes = [
            Node(
                loop,
                self.store,
                f"n{i}",
                settings=settings,
                allowance=allowance,
                ahead_s=self.chance.uniform(0, 5000),
            )
            for i in range(count)
        ]

    def admitted(self) -> list[float]:
        """When requests were let in, by all nodes."""
        return sorted(moment for node in self.nodes for moment in node.admitted)

    def excess(self) -> float:
        """By how many requests the fleet has let in more than r W in the worst of all windows W."""
        worst, lowest = 0.0, float("inf")
        for number, moment in enumerate(self.admitted()):
            level = number - self.allowance.per_s * moment
            lowest = min(lowest, level)
            worst = max(worst, level + 1 - lowest)
        return worst


@contextmanager
def fleet(
    count: int, allowance: RateAllowance, seed: int, policy: str = "share"
) -> Iterator[tuple[Fleet, Callable[[Coroutine[Any, Any, Any]], Any]]]:
    """A fleet, and how a scenario is run in its time."""
    loop = VirtualLoop()
    one = Fleet(loop, count, allowance, seed, policy)
    try:
        yield one, loop.run_until_complete
    finally:
        for node in one.nodes:
            node.close()
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.wait(pending))
        loop.close()
