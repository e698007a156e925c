"""Machines that share a fleet's limit of concurrency: memory, lender, and requests as exchanges make them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tests.limits.laid_out import MEMORY

from tidegate.config.allotment import allot
from tidegate.config.limits import PERMITS_MAX
from tidegate.limits.fleet.allowance import PermitAllowance
from tidegate.limits.fleet.nodes import Nodes
from tidegate.limits.fleet.permits import PermitLender
from tidegate.limits.limit import Limit
from tidegate.memory.grants import GrantTable
from tidegate.memory.leases import ASKED_MS
from tidegate.memory.region import Region
from tidegate.testing.limits import limits

LIMIT = "held"
STORED = f"tidegate:{{{0:016x}}}:{LIMIT}"
EXACT = f"{STORED}:{0:016x}"
"""The same with ``mode = "exact"``, where limits that are asked as one are kept together."""
CAP_MS = 10


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Machine:
    """One gateway, as one of its workers sees it.

    Args:
        link: To the store.
        name: What the store knows it by.
        maximum: Of the fleet.
        clock_ms: Its own.
        shared: The memory of its workers, and which of them this is; None: it has one, and memory of its own.
        options: Of the limit.
    """

    def __init__(
        self,
        link: Any,
        name: str,
        maximum: int,
        *,
        clock_ms: Callable[[], int] = now_ms,
        shared: tuple[Region, int] | None = None,
        **options: Any,
    ) -> None:
        section = {"concurrency": maximum, "scope": "fleet", "store": "main", **options}
        self.limit: Limit = limits(**{LIMIT: section})[LIMIT]
        if shared is not None:
            region, slot = shared
            settings = self.limit.settings
            place = allot({}, {LIMIT: settings}, MEMORY)[0][LIMIT]
            self.limit = Limit(LIMIT, settings, place, region.mapping, region.secret, region.inflight(slot))
        assert self.limit.grants is not None
        assert self.limit.permits is not None
        assert self.limit.only_key is not None
        self.table: GrantTable = self.limit.grants
        self.key = self.limit.only_key[0]
        self.maximum = maximum
        self.clock_ms = clock_ms
        self.nodes = Nodes(lambda: link, name)
        self.lender = PermitLender(
            LIMIT,
            self.limit.settings,
            [one for one in self.limit.allowances if isinstance(one, PermitAllowance)],
            self.table,
            self.limit.permits,
            link=lambda: link,
            nodes=self.nodes,
            now_ms=clock_ms,
        )
        self.limit.lend_by(self.lender)
        self.rows: list[int] = []

    @property
    def under_way(self) -> int:
        return self.limit.held()

    @property
    def may_have(self) -> int:
        """How many the machine would let in now."""
        return self.table.maximum(self.key, self.clock_ms(), PERMITS_MAX)

    def take_nowait(self) -> bool | None:
        """Whether a permit is there; None: the store is asked."""
        now = self.clock_ms()
        if (taken := self.limit.take(now_ns=now * 1_000_000)) is not None:
            self.rows.append(taken[0])
            return True
        if self.table.closed(self.key, now) or self.table.maximum(self.key, now, self.maximum) >= self.maximum:
            return False
        if self.table.ask(self.key, now, now + ASKED_MS):
            self.lender.borrow(0, self.key, 0, 0)
        elif self.lender.is_exact:
            self.lender.wait(0, self.key, 0, 0)
        return None

    async def take(self, cap_ms: int = CAP_MS) -> bool:
        """A permit, as an exchange goes about it; it waits for the store for so many looks at most."""
        for _ in range(cap_ms):
            if (verdict := self.take_nowait()) is not None:
                return verdict
            await asyncio.sleep(0.001)
        self.lender.decide(0, self.key, 0, 0)
        return self.take_nowait() is True

    def give_back(self, count: int = 1) -> None:
        for _ in range(count):
            self.limit.give_back(self.rows.pop())

    def close(self) -> None:
        self.lender.close()
        self.nodes.close()
