"""The data plane of one worker: what it is made of, and its beginning and end.

A snapshot is *prepared* beside the active one (``preparation``), and becomes *active* when the shared word names it: exchanges
look at the word when they begin, and a worker that has none looks ten times a second. What the new snapshot does not have is
closed at the switch; the old plan, its filters, and the links and caches that it alone names go when the last exchange that
began on it has ended. Pools belong to the worker and outlive snapshots.
"""

from libc.stdint cimport uint64_t

from tidegate.edge.listener cimport Bounds, Listener
from tidegate.exchange.context cimport Context
from tidegate.exchange.delays cimport DelayQueue
from tidegate.exchange.permits cimport PermitQueue
from tidegate.exchange.plan cimport Plan
from tidegate.exchange.refusal cimport Refusals
from tidegate.exchange.witness cimport Witness
from tidegate.memory.fingerprints cimport Fingerprints
from tidegate.limits.bell cimport WorkerBells
from tidegate.memory.mapping cimport Mapping
from tidegate.memory.meters cimport POOL_SHARE_MAX_PPM, UPSTREAM_OPEN, UPSTREAM_WAITING
from tidegate.net.reactor cimport Reactor

import asyncio
import os
from typing import NamedTuple

from tidegate.cache.caches import Caches
from tidegate.config.bounds import clients_of_a_worker, descriptor_limit
from tidegate.edge.preload import preload
from tidegate.edge.preparation import Preparation, give_up, give_up_upstreams
from tidegate.limits.fleet.stores import FleetStores
from tidegate.memory.single_flight import SingleFlight
from tidegate.memory.store_report import StoreReport
from tidegate.process import tasks
from tidegate.redis.links import Links
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
    snapshot: int           # the active one
    snapshots: int          # held: the active one, those that wait, and old ones with exchanges in flight


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
        meters = place.take_meters()
        self.context = Context(
            self.reactor, meters, error_log or _Silent(), self._switch, Witness(meters, mapping, slot),
            DelayQueue(self.reactor), PermitQueue(self.reactor, region.bell_fds[slot] if region.bell_fds else -1), Refusals(),
            place.take_hitters(), Fingerprints(region.secret, "(route)"),
        )
        self.context.snapshot_word = mapping.snapshot_word
        self.ring = place.take_log_ring()
        self.bells = WorkerBells(region.bells(), slot)
        self.pools = Pools()
        flights = SingleFlight(mapping, region.secret, slot)
        self.links = Links(meters, self.context.error_log.say, slot, flights)
        self.caches = Caches(
            region.generations(), self.links, flights, say=self.context.error_log.say, meters=meters,
            store_report=StoreReport(mapping, slot), seed=slot,
        )
        self.stores = FleetStores(self.links, region.secret, meters)
        self.reactor.add_tick_hook(self._look_after_pools)
        self.reactor.add_tick_hook(self._look_after_snapshots)
        self.reactor.add_tick_hook(self._look_after_limits)
        self.reactor.add_tick_hook(self._look_after_load)
        self.inherited = list(listeners)
        self.listeners = []
        self.watches = {}
        self.prepared = {}
        self.under_way = []
        self.retiring = []

    # -- snapshots --------------------------------------------------------------------------------------------------

    async def prepare(self, snapshot):
        """Builds all that serving with ``snapshot`` needs. Raises whatever makes that impossible.

        Exchanges go on meanwhile, with the active snapshot. The first one is active at once.
        """
        preparation = Preparation(
            snapshot, self._active, self.pools, slot=self.slot, region=self.region, ring=self.ring, bells=self.bells,
            links=self.links, caches=self.caches, stores=self.stores,
        )
        if snapshot.number in self.prepared:
            raise ValueError(f"snapshot {snapshot.number} has been prepared already")
        self.under_way.append(preparation.made)     # from the first: what it shares must not be closed under its hands
        try:
            await self.caches.prepare(snapshot.gateway.cache, _told_apart_by(snapshot))
            await preparation.run()
            if self.is_closed:
                raise asyncio.CancelledError
        except BaseException:
            self.under_way.remove(preparation.made)
            give_up(preparation.made, self._holders())
            raise
        self.under_way.remove(preparation.made)
        self.prepared[snapshot.number] = preparation.made
        if self.active is None:
            self._activate(preparation.made)
            await preload(self.caches, preparation.made.filters, self.context.error_log.say)

    def forget(self, number):
        """Drops what was prepared for a snapshot that will not become active."""
        made = self.prepared.get(number)
        if made is not None and made is not self.active:
            del self.prepared[number]
            give_up(made, self._holders())

    def _active(self):
        return self.active

    def _holders(self):
        return [*self.prepared.values(), *self.under_way, *self.retiring]

    def _switch(self):
        """The shared word names another snapshot than the active one."""
        made = self.prepared.get(self.region.snapshot_number)
        if made is not None and made is not self.active:
            self._activate(made)

    def _activate(self, made):
        """Serves with ``made`` from here on; what only older snapshots have ends."""
        server = made.plan.gateway.server
        workers = self.region.workers
        self.active = made
        self.context.plan = made.plan
        older = [self.prepared.pop(number) for number in list(self.prepared) if number < made.number]
        self.retiring += older
        self._configure_links_and_caches()
        self.stores.begin({name: one.store for name, one in made.plan.gateway.limits.items() if one.is_fleet})
        self.context.shedder.configure(made.plan.gateway.shed, made.plan.gateway.classes.names)
        max_open = clients_of_a_worker(made.plan.gateway, workers, descriptor_limit())
        if self.bounds is None:
            self.bounds = Bounds(max_open, server.max_connections_per_address)
        else:
            self.bounds.configure(max_open, server.max_connections_per_address)
        for listener in self.listeners:
            listener.configure(made.listeners[listener.label], made.tls.get(listener.label))
            if server.max_connections_per_address is not None:
                listener.count_by_address()
        for upstream in made.upstreams.values():
            upstream.activate()
        for one in older:
            give_up_upstreams(one, [*self.prepared.values(), *self.under_way])
        self._end_retired()
        if self.is_started:
            self._watch_certificates()

    def _configure_links_and_caches(self):
        """Those of the active snapshot, and by their names those that exchanges of older ones have yet to ask."""
        gateway = self.active.plan.gateway
        older = [made.plan.gateway for made in self.retiring]
        self.links.configure(gateway.redis, {name for one in older for name in one.redis})
        self.caches.configure(gateway.cache, {name for one in older for name in one.cache})

    def _end_retired(self):
        ended = [older for older in self.retiring if older.plan.exchanges == 0]
        for older in ended:
            self.retiring.remove(older)
            give_up(older, self._holders())
        if ended:
            self._configure_links_and_caches()

    def _look_after_snapshots(self, now_ms):
        if self.active is not None and self.region.snapshot_number != self.active.number:
            self._switch()
        if self.retiring:
            self._end_retired()

    def _look_after_pools(self, uint64_t now_ms):
        self.pools.expire(now_ms)
        self.context.meters.put(UPSTREAM_OPEN, self.pools.count_open())
        self.context.meters.put(UPSTREAM_WAITING, self.pools.count_waiting())
        self.context.meters.put(POOL_SHARE_MAX_PPM, self.pools.fullest_ppm())
        self.context.witness.tick(now_ms, () if self.active is None else self.active.upstreams.values())

    def _look_after_limits(self, uint64_t now_ms):
        if self.active is not None:
            for limit in self.active.learning:
                limit.tick(self.reactor.now_ns)

    def _look_after_load(self, uint64_t now_ms):
        self.context.shedder.tick(
            self.reactor.now_ns, self.context.witness.take_read_wait() / 1e9, self.context.exchanges
        )

    # -- life -------------------------------------------------------------------------------------------------------

    def start(self):
        """Begins to accept."""
        self._switch()
        for settings, fd in self.inherited:
            bind = settings.bind
            listener = Listener(self.context, self.bounds, fd, self.active.listeners[bind], self.active.tls.get(bind))
            listener.start()
            self.listeners.append(listener)
        self.inherited = []
        self.is_started = True
        self._watch_certificates()

    def _watch_certificates(self):
        """Looks for renewed files of the certificates in use, and of no others."""
        used = {id(tls): (bind, tls) for bind, tls in self.active.tls.items()}
        for key in [key for key in self.watches if key not in used]:
            self.watches.pop(key).cancel()
        for key, (bind, tls) in used.items():
            if key not in self.watches:
                self.watches[key] = tasks.start(tls.keep_current(), f"watch certificates of {bind}")

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
        self.is_closed = True
        for watch in self.watches.values():
            watch.cancel()
        self.watches = {}
        self.active = None
        while self.prepared:
            _, made = self.prepared.popitem()
            give_up(made, self._holders())      # ends its look-ups
        while self.retiring:
            give_up(self.retiring.pop(), self._holders())
        self.context.permits.close()
        self.pools.close()
        self.caches.close()
        self.stores.close()
        self.links.close()
        self.reactor.close()

    def statistics(self):
        statistics = self.reactor.statistics()
        endpoints = {
            endpoint: endpoint.inflight
            for made in self._holders() for upstream in made.upstreams.values() for endpoint in upstream.endpoints
        }
        return ServerStatistics(
            0 if self.bounds is None else self.bounds.open, self.context.exchanges,
            sum(endpoints.values()), len(self.context.spare),
            statistics.channels, statistics.faults, self.pools.statistics(),
            {
                name: destination.upstream.statistics()
                for name, destination in (<Plan>self.context.plan).destinations.items()
            },
            (<Plan>self.context.plan).number, len(self._holders()),
        )

    def __repr__(self):
        return f"<Server {self.listeners!r} {self.context.plan!r}>"


def _told_apart_by(snapshot):
    """What no other gateway of this user has: the file of its configuration, else where it listens."""
    return snapshot.origin.name or ",".join(listener.bind for listener in snapshot.gateway.listeners)


class _Silent:
    def say(self, kind, message, **fields):
        pass
