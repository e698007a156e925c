"""The data plane of one worker: what it is made of, and its beginning and end.

A snapshot is *prepared* (upstreams resolved, filters made, router and plans compiled), and becomes *active* when the shared
word names it: exchanges look at the word when they begin. Pools belong to the worker and outlive snapshots.
"""

from libc.stdint cimport uint64_t

from tidegate.edge.listener cimport Bounds, Listener
from tidegate.exchange.context cimport Context
from tidegate.exchange.plan cimport Plan
from tidegate.exchange.trust cimport TrustedRanges
from tidegate.memory.mapping cimport Mapping
from tidegate.memory.meters cimport POOL_SHARE_MAX_PPM, UPSTREAM_OPEN, UPSTREAM_WAITING
from tidegate.net.reactor cimport Reactor
from tidegate.observe.access_log cimport AccessLog

import asyncio
import os
from typing import NamedTuple

from tidegate.exchange.filter import make_filters
from tidegate.memory.meters import Meters as MetersType
from tidegate.process import tasks
from tidegate.upstream.pools import Pools

class ServerStatistics(NamedTuple):
    """What a worker's data plane is doing."""

    connections: int
    exchanges: int
    inflight: int
    spare_exchanges: int
    channels: int
    faults: int
    pools: tuple
    upstreams: dict


cdef class Server:
    """loop: the worker's loop. snapshot: the one to begin with. slot: index of the worker's slot in ``region``.
    error_log: ``say(kind, message, **fields)``. listeners: (config.Listener, fd) pairs; the descriptors are the server's.
    """

    def __init__(self, loop, snapshot, int slot, region, error_log, *, listeners=()):
        cdef Mapping mapping = region.mapping
        self.loop = loop
        self.region = region
        self.slot = slot
        self.reactor = Reactor(loop)
        place = region.slot(slot)
        self.reactor.use_mark(place.take_mark())
        self.context = Context(self.reactor, place.take_meters(), error_log or _Silent(), self._switch)
        self.context.snapshot_word = mapping.snapshot_word
        self.ring = place.take_log_ring()
        self.pools = Pools()
        self.reactor.add_tick_hook(self._look_after_pools)
        self.inherited = list(listeners)
        self.listeners = []
        self.plans = {}
        self.upstreams = {}
        self.watches = []

    # -- snapshots --------------------------------------------------------------------------------------------------

    async def prepare(self, snapshot):
        """Builds all that serving with ``snapshot`` needs. Raises whatever makes that impossible."""
        from tidegate.upstream import discover
        from tidegate.upstream.build import build_upstream

        gateway = snapshot.gateway
        filters = make_filters(gateway.filters)
        secret = self.region.secret
        upstreams = {}
        try:
            for name, settings in gateway.upstreams.items():
                upstreams[name] = build_upstream(name, settings, self.pools, seed=self.slot, secret=secret)
            await discover.prepare(upstreams.values())
            plan = Plan(snapshot, upstreams, filters)
        except BaseException:
            for upstream in upstreams.values():
                upstream.close()        # or what they claimed of the pools would never be given up
            raise
        self.plans[snapshot.number] = plan
        self.upstreams[snapshot.number] = tuple(upstreams.values())
        if self.context.plan is None:
            self._activate(plan)
        return plan

    def _activate(self, Plan plan not None):
        gateway = plan.gateway
        log = gateway.access_log
        self.context.plan = plan
        self.context.trusted = TrustedRanges(gateway.server.trusted_proxies)
        self.context.access_log = AccessLog(None if log.path == "off" else self.ring, log.format, log.fields)
        workers = self.region.workers
        if self.bounds is None:
            self.bounds = Bounds(
                max(1, -(-gateway.server.max_connections // workers)), gateway.server.max_connections_per_address
            )

    def _switch(self):
        """The shared word names another snapshot than the active one."""
        plan = self.plans.get(self.region.snapshot_number)
        if plan is not None:
            self._activate(plan)

    def _look_after_pools(self, uint64_t now_ms):
        self.pools.expire(now_ms)
        self.context.meters.put(UPSTREAM_OPEN, self.pools.count_open())
        self.context.meters.put(UPSTREAM_WAITING, self.pools.count_waiting())
        self.context.meters.put(POOL_SHARE_MAX_PPM, self.pools.fullest_ppm())

    # -- life -------------------------------------------------------------------------------------------------------

    def start(self):
        """Begins to accept."""
        for settings, fd in self.inherited:
            tls = None
            if settings.tls is not None:
                from tidegate.edge.tls import ServerTls

                tls = ServerTls(settings.tls)
                self.watches.append(tasks.start(tls.keep_current(), f"watch certificates of {settings.bind}"))
            listener = Listener(self.context, self.bounds, fd, settings, tls)
            listener.start()
            self.listeners.append(listener)
        self.inherited = []

    def drain(self, double deadline):
        """Accepts what waits in the sockets, then stops listening; every next answer says ``Connection: close``.

        deadline: on the loop's clock; what is left then is closed.
        """
        cdef Listener listener
        self.context.is_draining = True
        self.drained_event = asyncio.Event()
        for listener in self.listeners:
            listener.accept_what_waits()
            listener.stop()
        self.drain_handle = self.loop.call_at(deadline, self._close_connections)
        self.reactor.add_tick_hook(self._look_whether_drained)

    def _look_whether_drained(self, now_ms):
        if self.bounds.open == 0:
            self.drained_event.set()

    async def drained(self):
        """Returns when the last connection has ended."""
        await self.drained_event.wait()

    def _close_connections(self):
        cdef Listener listener
        for listener in self.listeners:
            listener.close_connections()

    def close(self):
        """Ends everything at once."""
        cdef Listener listener
        if self.drain_handle is not None:
            self.drain_handle.cancel()
        for listener in self.listeners:
            listener.stop()
            listener.close_connections()
        for settings, fd in self.inherited:
            os.close(fd)
        self.inherited = []
        for watch in self.watches:
            watch.cancel()
        self.watches = []
        for upstreams in self.upstreams.values():
            for upstream in upstreams:
                upstream.close()        # ends its look-ups
        self.upstreams = {}
        self.pools.close()
        self.reactor.close()

    def statistics(self):
        statistics = self.reactor.statistics()
        inflight = sum(
            endpoint.inflight
            for plan in self.plans.values() for destination in plan.destinations.values()
            for endpoint in destination.upstream.endpoints
        )
        return ServerStatistics(
            0 if self.bounds is None else self.bounds.open, self.context.exchanges, inflight, len(self.context.spare),
            statistics.channels, statistics.faults, self.pools.statistics(),
            {
                name: destination.upstream.statistics()
                for name, destination in (<Plan>self.context.plan).destinations.items()
            },
        )

    def __repr__(self):
        return f"<Server {self.listeners!r} {self.context.plan!r}>"


class _Silent:
    def say(self, kind, message, **fields):
        pass
