"""From a snapshot to all that serving with it needs, beside the one that is being served with.

Nothing of this is visible before the switch: upstreams whose settings are the same are shared with the active snapshot,
others begin with what is known of their servers but leave the bounds of the pools alone; listeners and bounds are only
made ready. What a failed or forgotten preparation has claimed is given back.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidegate.config.listeners import Listener
from tidegate.config.snapshot import Snapshot
from tidegate.config.upstreams import Upstream as UpstreamSettings
from tidegate.exchange.filter import Filter, close_filters, load_classes, make_filters
from tidegate.exchange.plan import Plan
from tidegate.limits.bell import WorkerBells
from tidegate.limits.fleet.stores import FleetStores
from tidegate.limits.limit import Limit
from tidegate.memory.log_ring import LogRing
from tidegate.memory.region import Region
from tidegate.observe.access_log import AccessLog
from tidegate.process.slices import Pace, in_slices
from tidegate.upstream import discover
from tidegate.upstream.build import build_upstream
from tidegate.upstream.endpoint import Upstream
from tidegate.upstream.pools import Pools

if TYPE_CHECKING:
    from tidegate.cache.cache import Cache
    from tidegate.edge.tls import ServerTls
    from tidegate.redis.link import Link
    from tidegate.upstream.tls import TlsSettings

__all__ = ["Preparation", "Prepared", "give_up"]


@dataclass(eq=False, slots=True)
class Prepared:
    """A snapshot with what was built of it. ``tls``: by the address of the listener; ``learning``: adaptive limits."""

    number: int
    plan: Plan | None = None
    upstreams: dict[str, Upstream] = field(default_factory=dict)
    filters: dict[str, Filter] = field(default_factory=dict)
    learning: tuple[Limit, ...] = ()
    listeners: dict[str, Listener] = field(default_factory=dict)
    tls: dict[str, "ServerTls"] = field(default_factory=dict)


class Preparation:
    """One snapshot being prepared.

    Args:
        snapshot: The one to build.
        active: Gives the active one, which may change meanwhile; None at the start.
        pools: The worker's.
        slot: The worker's: whose permits its limits take, and the seed of its balancers.
        region: Where limits remember; its secret is what cookies are made under.
        ring: Where lines of the access log go.
        bells: The worker's, which limits of all its snapshots share.
        links: To Redis, by name: the worker's, for filters.
        caches: By name: the worker's, for filters.
        stores: Who borrows for limits of a whole fleet: the worker's.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        active: Callable[[], Prepared | None],
        pools: Pools,
        *,
        slot: int,
        region: Region,
        ring: LogRing,
        bells: WorkerBells,
        links: Mapping[str, "Link"] | None = None,
        caches: Mapping[str, "Cache"] | None = None,
        stores: FleetStores | None = None,
    ) -> None:
        self.made = Prepared(snapshot.number)
        self._snapshot = snapshot
        self._active = active
        self._pools = pools
        self._links = links
        self._caches = caches
        self._stores = stores
        self._slot = slot
        self._region = region
        self._ring = ring
        self._bells = bells
        self._pace = Pace()

    def __repr__(self) -> str:
        return f"<Preparation of snapshot {self.made.number}: {len(self.made.upstreams)} upstreams>"

    async def run(self) -> Prepared:
        """Builds everything. Raises whatever makes serving with it impossible; ``made`` is to be given up then."""
        gateway = self._snapshot.gateway
        self._take_listeners(gateway.listeners)
        await self._load_certificates(gateway.listeners)
        await self._build_upstreams(gateway.upstreams)
        if any(use.target.partition(":")[0] not in sys.modules for use in gateway.filters.values()):
            await asyncio.get_running_loop().run_in_executor(None, load_classes, gateway.filters)
        active = self._active()
        there = None if active is None else active.filters
        self.made.filters = make_filters(gateway.filters, there, self._links, self._caches)
        log = gateway.access_log
        limits = self._make_limits()
        self.made.learning = tuple(limit for limit in limits.values() if limit.learner is not None)
        plan = Plan.__new__(Plan)
        await in_slices(
            plan.building(
                self._snapshot,
                self.made.upstreams,
                self.made.filters,
                AccessLog(None if log.path == "off" else self._ring, log.format, log.fields),
                limits,
            ),
            self._pace,
        )
        self.made.plan = plan
        return self.made

    def _make_limits(self) -> dict[str, Limit]:
        secret, mapping = self._region.secret, self._region.mapping
        limits = self._snapshot.gateway.limits
        has_permits = any(settings.kind == "concurrency" for settings in limits.values())
        inflight = self._region.inflight(self._slot) if has_permits else None
        adaptive = self._region.adaptive(self._slot) if has_permits else None
        classes = self._snapshot.gateway.classes.names
        views = (inflight, self._bells, classes, adaptive, time.monotonic_ns())
        made = {
            name: Limit(name, settings, self._snapshot.places[name], mapping, secret, *views)
            for name, settings in limits.items()
        }
        for name, settings in limits.items():
            if settings.is_fleet and self._stores is not None:
                self._stores.lend_to(made[name])
        return made

    def _take_listeners(self, listeners: Iterable[Listener]) -> None:
        self.made.listeners = {one.bind: one for one in listeners}
        active = self._active()
        if active is None:
            return
        for bind in self.made.listeners.keys() ^ active.listeners.keys():
            what = "new" if bind in self.made.listeners else "gone"
            raise ValueError(f"the listener {bind} is {what}: sockets are bound when the gateway starts")

    async def _load_certificates(self, listeners: Iterable[Listener]) -> None:
        active = self._active()
        for settings in listeners:
            if settings.tls is None:
                continue
            from tidegate.edge.tls import ServerTls

            # Off the loop: OpenSSL reads files and checks keys.
            tls = await asyncio.get_running_loop().run_in_executor(None, ServerTls, settings.tls)
            there = None if active is None else active.tls.get(settings.bind)
            # The one that is there knows the sessions that its clients may resume.
            is_same = there is not None and (there.settings, there.digest) == (tls.settings, tls.digest)
            self.made.tls[settings.bind] = there if there is not None and is_same else tls

    async def _build_upstreams(self, upstreams: Mapping[str, UpstreamSettings]) -> None:
        loop = asyncio.get_running_loop()
        for name, settings in upstreams.items():
            if settings.tls is not None:
                from tidegate.upstream.tls import TlsSettings, prepare_context

                # Off the loop: reading the roots of the system takes tens of milliseconds.
                await loop.run_in_executor(None, prepare_context, TlsSettings.of(settings.tls, ""))
            active = self._active()
            there = None if active is None else active.upstreams.get(name)
            if there is not None and there.settings == settings:
                self.made.upstreams[name] = there
            else:
                self.made.upstreams[name] = build_upstream(
                    name,
                    settings,
                    self._pools,
                    seed=self._slot,
                    secret=self._region.secret,
                    before=there,
                    is_active=False,
                )
            if self._pace.is_over:
                await self._pace.rest()
        await discover.prepare(one for one in self.made.upstreams.values() if not one.is_active)


def give_up(gone: Prepared, others: Iterable[Prepared]) -> None:
    """Closes what only ``gone`` has: its last exchange has ended, or it never had one."""
    others = list(others)
    give_up_upstreams(gone, others)
    kept = {id(one) for other in others for one in other.filters.values()}
    close_filters(one for one in gone.filters.values() if id(one) not in kept)


def give_up_upstreams(gone: Prepared, others: Iterable[Prepared]) -> None:
    """Ends the look-ups and the claims of upstreams that only ``gone`` has; exchanges under way keep what they have."""
    kept = {id(one): one for other in others for one in other.upstreams.values()}
    closed = [upstream for upstream in gone.upstreams.values() if id(upstream) not in kept]
    for upstream in closed:
        upstream.close()
    if contexts := _tls_of(closed):
        from tidegate.upstream.tls import forget_contexts

        forget_contexts(contexts, _tls_of(kept.values()))


def _tls_of(upstreams: Iterable[Upstream]) -> "list[TlsSettings]":
    found = [one.settings.tls for one in upstreams if one.settings is not None and one.settings.tls is not None]
    if not found:
        return []
    from tidegate.upstream.tls import TlsSettings

    return [TlsSettings.of(settings, "") for settings in found]
