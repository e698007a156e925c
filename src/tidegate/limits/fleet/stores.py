"""The stores of a worker's fleet limits: who borrows for each limit, and how many gateways share each store.

They belong to the worker, as the links do: a reload makes new lenders, and what they know is in shared memory.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tidegate.limits.fleet.allowance import PermitAllowance
from tidegate.limits.fleet.paper import Paper
from tidegate.limits.limit import Limit
from tidegate.memory.meters import VERDICTS, Meters

if TYPE_CHECKING:
    # Loaded only by workers that have such a limit: what a link stands on is a megabyte.
    from tidegate.limits.fleet.lender import Lender
    from tidegate.limits.fleet.nodes import Nodes
    from tidegate.limits.fleet.permits import PermitLender

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
        self._told: dict[Lender | PermitLender, tuple[int, ...]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.nodes: dict[str, Nodes] = {}
        self.lenders: dict[str, Lender | PermitLender] = {}
        """By the limit's name, of the snapshot that was prepared last."""
        self._prepared: dict[
            str, tuple[PermitLender, tuple[int, int, int] | None]
        ] = {}  # … of them, those of concurrency
        self._active: dict[str, PermitLender] = {}  # those of the snapshot that is active

    def lend_to(self, limit: Limit) -> None:
        """Has somebody borrow for a fleet's limit."""
        lender = self._lender_of(limit)
        if before := self.lenders.get(limit.name):
            self._tell(before)
            self._told.pop(before, None)  # what it settles later is not counted
        self.lenders[limit.name] = lender
        limit.lend_by(lender)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(REPORT_S, self._report)

    def _lender_of(self, limit: Limit) -> "Lender | PermitLender":
        store = limit.settings.store or ""
        nodes = self._nodes_of(store)

        def link() -> Any:
            return self._links.get(store)

        def now_ms() -> int:
            return time.monotonic_ns() // 1_000_000

        if limit.grants is not None and limit.permits is not None:
            from tidegate.limits.fleet.permits import PermitLender

            allowed = [one for one in limit.allowances if isinstance(one, PermitAllowance)]
            lender = PermitLender(
                limit.name, limit.settings, allowed, limit.grants, limit.permits, link=link, nodes=nodes, now_ms=now_ms
            )
            self._prepared[limit.name] = lender, limit.only_key
            return lender
        from tidegate.limits.fleet.lender import Lender

        lent = [one for one in limit.allowances if not isinstance(one, PermitAllowance)]
        return Lender(limit.name, limit.settings, lent, limit.lease_table, link=link, nodes=nodes, now_ms=now_ms)

    def begin(self, stores_of: Mapping[str, str | None]) -> None:
        """A snapshot has become active, with these limits of fleets in these stores.

        Says there that the gateway is there, and in other stores no more: by that the connections are there before the
        first request needs one. Lenders of permits go on where those of the snapshot before are.
        """
        for name, nodes in self.nodes.items():
            if name in stores_of.values():
                nodes.begin()
            else:
                nodes.close()
        before, self._active = self._active, {}
        for name, (lender, only_key) in self._prepared.items():
            if name in stores_of:
                self._active[name] = lender
                lender.begin(only_key, before.pop(name, None))
        for lender in before.values():
            lender.retire()
        self._prepared.clear()

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

    def _tell(self, lender: "Lender | PermitLender") -> None:
        now = astuple(lender.counts)
        before = self._told.get(lender, (0,) * len(now))
        self._told[lender] = now
        series = self._meters.series_index("fleet", lender.name)
        new = [after - then for after, then in zip(now, before, strict=True)]
        self._meters.add_to_series(series, classes=[*new, 0])
        self._meters.set_gauges(series, lender.nodes.count, 1, 0)
        paper, lender.paper = lender.paper, Paper()
        if paper.admitted or paper.would_refuse:
            verdicts = {"admitted": paper.admitted, "would_refuse": paper.would_refuse}
            series = self._meters.series_index("limit", lender.name)
            self._meters.add_to_series(series, classes=[*(verdicts.get(one, 0) for one in VERDICTS), 0, 0])

    def close(self) -> None:
        """Nobody borrows any more; what is lent lapses."""
        if self._timer is not None:
            self._timer.cancel()
        self.report()
        for nodes in self.nodes.values():
            nodes.close()
        for lender in (*self.lenders.values(), *self._active.values()):
            lender.close()

    def __repr__(self) -> str:
        return f"<FleetStores {list(self.nodes.values())}, {list(self.lenders.values())}>"
