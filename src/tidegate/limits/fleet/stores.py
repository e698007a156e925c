"""The stores of a worker's fleet limits: who borrows for each limit, and how many gateways share each store.

They belong to the worker, as the links do: a reload makes new lenders, and what they know is in shared memory.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tidegate.limits.limit import Limit
from tidegate.memory.meters import Meters

if TYPE_CHECKING:
    # Loaded only by workers that have such a limit: what a link stands on is a megabyte.
    from tidegate.limits.fleet.lender import Lender
    from tidegate.limits.fleet.nodes import Nodes

__all__ = ["FleetStores"]

REPORT_S: Final = 1.0
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class FleetStores:
    """Those that the limits of a worker's snapshots name.

    Args:
        links: To Redis, by name: the worker's.
        secret: Of the region, which makes all workers of the gateway one node.
        meters: The worker's: what lenders did is copied there once a second.
    """

    def __init__(self, links: Mapping[str, Any], secret: bytes, meters: Meters) -> None:
        self._links = links
        self._secret = secret
        self._meters = meters
        self._told: dict[Lender, tuple[int, ...]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.nodes: dict[str, Nodes] = {}
        self.lenders: dict[str, Lender] = {}
        """By the limit's name, of the snapshot that was prepared last."""

    def lend_to(self, limit: Limit) -> None:
        """Has somebody borrow for a fleet's limit."""
        from tidegate.limits.fleet.lender import Lender

        store = limit.settings.store or ""
        lender = Lender(
            limit.name,
            limit.settings,
            limit.allowances,
            limit.lease_table,
            link=lambda: self._links.get(store),
            nodes=self._nodes_of(store),
            now_ms=lambda: time.monotonic_ns() // 1_000_000,
        )
        if before := self.lenders.get(limit.name):
            self._tell(before)
            self._told.pop(before, None)  # what it settles later is not counted
        self.lenders[limit.name] = lender
        limit.lend_by(lender)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(REPORT_S, self._report)

    def begin(self, stores: Collection[str]) -> None:
        """Says in these stores that the gateway is there, and in others no more: a snapshot has become active.

        By that the connections are there before the first request needs one.
        """
        for name, nodes in self.nodes.items():
            if name in stores:
                nodes.begin()
            else:
                nodes.close()

    def _nodes_of(self, store: str) -> "Nodes":
        from tidegate.limits.fleet.nodes import Nodes, node_name

        if store not in self.nodes:
            boot = _BOOT.read_bytes() if _BOOT.exists() else b""
            self.nodes[store] = Nodes(lambda: self._links.get(store), node_name(self._secret, boot))
        return self.nodes[store]

    def report(self) -> None:
        """Copies what lenders did since the last time to shared memory."""
        for lender in self.lenders.values():
            self._tell(lender)

    def _report(self) -> None:
        self.report()
        self._timer = asyncio.get_running_loop().call_later(REPORT_S, self._report)

    def _tell(self, lender: "Lender") -> None:
        now = astuple(lender.counts)
        before = self._told.get(lender, (0,) * len(now))
        self._told[lender] = now
        series = self._meters.series_index("fleet", lender.name)
        new = [after - then for after, then in zip(now, before, strict=True)]
        self._meters.add_to_series(series, classes=[*new, 0])
        self._meters.set_gauges(series, lender.nodes.count, 1, 0)

    def close(self) -> None:
        """Nobody borrows any more; what is lent lapses."""
        if self._timer is not None:
            self._timer.cancel()
        self.report()
        for nodes in self.nodes.values():
            nodes.close()
        for lender in self.lenders.values():
            lender.close()

    def __repr__(self) -> str:
        return f"<FleetStores {list(self.nodes.values())}, {list(self.lenders.values())}>"
