"""One second of the gateway in figures: what its workers did, what the kernel counted, how routes and upstreams fared.

``take_sample`` reads shared memory and /proc and never waits. Totals are as counted since the start; rates are per
second since the sample before. Everything that judges (`saturation`, `suspicion`) or keeps (the flight recorder) looks
at samples and at nothing else, so a recorded second can be judged again later.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import msgspec

from tidegate.memory.hitters import HitterReader, KeyFigures, leading
from tidegate.memory.meters import MeterReader
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState, SlotStatistics
from tidegate.observe.kernel import Kernel, KernelFigures

__all__ = ["KeySample", "RouteSample", "Sample", "UpstreamSample", "WorkerSample", "take_sample"]

KEYS_MAX = 8
"""Keys of each limit and route that are sampled of each ranking."""

_BEAT_NS = 50_000_000  # a loop that beats as it should has a heartbeat as old as this


class WorkerSample(msgspec.Struct, frozen=True):
    """One worker slot."""

    slot: int
    pid: int
    state: str
    """empty, starting, ready, draining, dead."""
    heartbeat_age_s: float
    loop_lag_s: float
    """Worst lag of its loop in this second or the one before; a loop that stands is late since its last heartbeat."""
    connections: int
    exchanges: int
    """In flight now."""
    upgrades: int
    queued: int
    """Connections that wait in its accept queues; unix sockets do not say."""
    exchanges_total: int
    exchanges_per_s: float
    accepted_total: int
    accepted_per_s: float
    upstream_open: int
    upstream_waiting: int
    """Exchanges that wait for a connection of a pool."""
    queue_delay_s: float
    """Longest that a request waited to be read, or for a connection of a pool, in this second or the one before."""
    pool_share: float
    """Fullest of its pools: connections in use, and who waits for one, over what the pool may have."""
    descriptors: int | None
    clients_asked: int
    """Different clients that sent a request in its latest second."""
    clients_failing: int
    shed_level: float = 0.0
    """Classes of traffic that it refuses for having too much to do, parts of one included."""

    @property
    def is_running(self) -> bool:
        """Whether a process is in the slot that serves, or is on its way out."""
        return self.state in ("ready", "draining")


class SeriesSample(msgspec.Struct, frozen=True):
    """What is counted of routes and upstreams alike, summed over the workers."""

    name: str
    exchanges_total: int
    exchanges_per_s: float
    seconds_total: float
    seconds_per_s: float
    """Time its exchanges took, per second: as many were under way on average."""
    bytes_total: int
    bytes_per_s: float


class RouteSample(SeriesSample, frozen=True):
    """One route."""

    refusals_per_s: float = 0.0
    """By any limit."""
    upstream_seconds_per_s: float = 0.0
    """As many of its requests were with an upstream on average."""


class UpstreamSample(SeriesSample, frozen=True):
    """One upstream."""

    failures_total: int
    failures_per_s: float
    """Connections refused, reset, timed out or silent."""
    open: int
    waiting: int
    endpoints_asked: int
    """Of the worker that asked most of them, in its latest second."""
    endpoints_failing: int
    rtt_s: float | None
    """Latest smoothed round trip that the kernel measured, of the worker where it was longest."""
    retransmits_total: int
    retransmits_per_s: float


class KeySample(msgspec.Struct, frozen=True):
    """One of those who asked most of a limit or route in this step."""

    kind: str
    """limit or route."""
    name: str
    key: str
    requests_per_s: float
    refusals_per_s: float
    upstream_seconds_per_s: float
    bytes_per_s: float


class Sample(msgspec.Struct, frozen=True):
    """Everything at one moment."""

    at_ns: int
    """CLOCK_MONOTONIC."""
    unix_s: float
    step_s: float
    """Seconds since the sample before; 0: there was none, and no rate is known."""
    workers: tuple[WorkerSample, ...]
    routes: tuple[RouteSample, ...]
    upstreams: tuple[UpstreamSample, ...]
    kernel: KernelFigures
    listen_overflows_per_s: float
    retransmits_per_s: float
    retransmit_share: float
    """Of all segments sent in this step."""
    link_share: float | None
    """Busiest direction of the busiest interface over its speed; None where no speed is known."""
    ports_share: float | None
    """Ports of outgoing connections over those there are, as if all went to one destination: an upper bound."""
    descriptors_share: float | None
    """Of the worker that has most, over what a process may have."""
    keys: tuple[KeySample, ...] = ()
    shed_total: dict[str, int] = {}
    """Requests that workers refused for having too much to do, by class of traffic."""


def take_sample(
    region: Region,
    kernel: Kernel,
    previous: Sample | None,
    *,
    reader: MeterReader | None = None,
    hitters: HitterReader | None = None,
    descriptors_max: int | None = None,
    now_ns: int | None = None,
    unix_s: float | None = None,
) -> Sample:
    """Reads everything, as it is now.

    Args:
        region: The shared memory.
        kernel: Reads the machine's figures.
        previous: The sample before, which rates are counted from.
        reader: Kept from one sample to the next it knows the series that were there before.
        hitters: Kept from one sample to the next, who asks most; None: nobody looks.
        descriptors_max: How many a worker may open.
        now_ns: CLOCK_MONOTONIC, read when not given.
        unix_s: Wall clock, read when not given.
    """
    at_ns = time.monotonic_ns() if now_ns is None else now_ns
    step_s = 0.0 if previous is None else (at_ns - previous.at_ns) / 1e9
    now = _Now(at_ns, step_s, kernel)
    reader = MeterReader(region.mapping) if reader is None else reader
    before = {} if previous is None else {one.slot: one for one in previous.workers}
    figures = kernel.read()
    # The slots of the other generation only once somebody has been in them.
    slots = [at for at in range(region.slots) if at < region.workers or region.slot(at).generation]
    workers = tuple(_worker(region, at, reader, before.get(at), now) for at in slots)
    routes, upstreams = _series(reader, previous, now)
    routes, keys = _hitters(reader, hitters, routes, step_s)
    then = None if previous is None else previous.kernel
    retransmitted = _grown(figures.retransmitted_segments_total, then, "retransmitted_segments_total")
    sent = _grown(figures.sent_segments_total, then, "sent_segments_total")
    overflows = _grown(figures.listen_overflows_total, then, "listen_overflows_total")
    fullest = max((one.descriptors for one in workers if one.descriptors is not None), default=None)
    return Sample(
        at_ns=at_ns,
        unix_s=time.time() if unix_s is None else unix_s,
        step_s=step_s,
        workers=workers,
        routes=routes,
        upstreams=upstreams,
        kernel=figures,
        listen_overflows_per_s=overflows / step_s if step_s else 0.0,
        retransmits_per_s=retransmitted / step_s if step_s else 0.0,
        retransmit_share=min(1.0, retransmitted / sent) if sent else 0.0,
        link_share=_link_share(figures, then, now),
        ports_share=_ports_share(figures, sum(one.upstream_open for one in workers)),
        descriptors_share=fullest / descriptors_max if fullest is not None and descriptors_max else None,
        keys=keys,
        shed_total={
            name: total
            for (kind, name), places in reader.known_places().items()
            if kind == "shed" and (total := sum(reader.read("shed", name, places).classes))
        },
    )


def _worker(region: Region, at: int, reader: MeterReader, before: WorkerSample | None, now: _Now) -> WorkerSample:
    slot = region.slot(at)
    mark = slot.statistics()
    counters = reader.counters(at)
    age_ns = max(0, now.at_ns - mark.heartbeat_ns) if mark.heartbeat_ns else 0
    exchanges, accepted = counters["exchanges_started"], counters["connections_accepted"]
    rate = now.rate
    return WorkerSample(
        slot=at,
        pid=mark.pid,
        state=mark.state.name.lower(),
        heartbeat_age_s=age_ns / 1e9,
        loop_lag_s=_lag_ns(mark, counters, age_ns) / 1e9,
        connections=counters["connections_open"],
        exchanges=counters["exchanges_open"],
        upgrades=counters["upgrades_open"],
        queued=slot.queued,
        exchanges_total=exchanges,
        exchanges_per_s=rate(exchanges, before, "exchanges_total"),
        accepted_total=accepted,
        accepted_per_s=rate(accepted, before, "accepted_total"),
        upstream_open=counters["upstream_open"],
        upstream_waiting=counters["upstream_waiting"],
        queue_delay_s=counters["queue_delay_recent_ns"] / 1e9,
        pool_share=counters["pool_share_max_ppm"] / 1e6,
        descriptors=now.kernel.descriptors_of(mark.pid) if mark.pid else None,
        clients_asked=counters["clients_asked"],
        clients_failing=counters["clients_failing"],
        shed_level=counters["shed_level_ppm"] / 1e6,
    )


def _lag_ns(mark: SlotStatistics, counters: dict[str, int], age_ns: int) -> int:
    if mark.state not in (SlotState.READY, SlotState.DRAINING):
        return 0
    return max(counters["loop_lag_recent_ns"], age_ns - _BEAT_NS, 0)


def _series(
    reader: MeterReader, previous: Sample | None, now: _Now
) -> tuple[tuple[RouteSample, ...], tuple[UpstreamSample, ...]]:
    routes_before: dict[str, SeriesSample] = {} if previous is None else {one.name: one for one in previous.routes}
    upstreams_before: dict[str, SeriesSample] = (
        {} if previous is None else {one.name: one for one in previous.upstreams}
    )
    routes, upstreams = [], []
    rate = now.rate
    for one in reader.sums():
        if one.name == "other" and not one.exchanges:
            continue  # nothing is other yet
        size, seconds = one.bytes_in + one.bytes_out, one.duration_ns / 1e9
        before = routes_before if one.kind == "route" else upstreams_before
        then = before.get(one.name)
        alike: dict[str, Any] = {
            "name": one.name,
            "exchanges_total": one.exchanges,
            "exchanges_per_s": rate(one.exchanges, then, "exchanges_total"),
            "seconds_total": seconds,
            "seconds_per_s": rate(seconds, then, "seconds_total"),
            "bytes_total": size,
            "bytes_per_s": rate(size, then, "bytes_total"),
        }
        if one.kind == "route":
            routes.append(RouteSample(**alike))
            continue
        upstreams.append(
            UpstreamSample(
                **alike,
                failures_total=one.failures,
                failures_per_s=rate(one.failures, then, "failures_total"),
                open=one.open,
                waiting=one.waiting,
                endpoints_asked=one.endpoints_asked,
                endpoints_failing=one.endpoints_failing,
                rtt_s=one.rtt_ns / 1e9 if one.rtt_ns else None,
                retransmits_total=one.retransmits,
                retransmits_per_s=rate(one.retransmits, then, "retransmits_total"),
            )
        )
    return tuple(routes), tuple(upstreams)


def _hitters(
    reader: MeterReader, hitters: HitterReader | None, routes: tuple[RouteSample, ...], step_s: float
) -> tuple[tuple[RouteSample, ...], tuple[KeySample, ...]]:
    """Who asked most since the sample before, and what that says of the routes."""
    if hitters is None:
        return routes, ()
    totals: dict[str, KeyFigures] = {}
    keys = []
    for (kind, name), places in reader.known_places().items():
        if kind not in ("limit", "route"):
            continue
        total, found = hitters.grown(places)
        if not total.requests or not step_s:
            continue  # the first look only learns what there is
        if kind == "route":
            totals[name] = total
        keys += [
            KeySample(kind, name, one.key, *(figure / step_s for figure in one[1:])) for one in leading(found, KEYS_MAX)
        ]
    known = tuple(
        one
        if one.name not in totals
        else msgspec.structs.replace(
            one,
            refusals_per_s=totals[one.name].refusals / step_s,
            upstream_seconds_per_s=totals[one.name].upstream_s / step_s,
        )
        for one in routes
    )
    return known, tuple(keys)


def _link_share(figures: KernelFigures, then: KernelFigures | None, now: _Now) -> float | None:
    before = {} if then is None else {link.name: link for link in then.links}
    shares = []
    for link in figures.links:
        if link.speed_bytes_per_s is None:
            continue
        last = before.get(link.name)
        received = now.rate(link.received_bytes, last, "received_bytes")
        sent = now.rate(link.sent_bytes, last, "sent_bytes")
        shares.append(max(received, sent) / link.speed_bytes_per_s)
    return max(shares, default=None)


def _ports_share(figures: KernelFigures, open_upstream: int) -> float | None:
    if figures.ports is None or figures.time_wait is None or figures.ports <= 0:
        return None
    return (figures.time_wait + open_upstream) / figures.ports


def _grown(now: float | None, before: object, field: str) -> float:
    """How much a counter grew; nothing when one of the two is not known, or it began anew."""
    then: float | None = getattr(before, field, None)
    return 0 if now is None or then is None else max(0, now - then)


class _Now(NamedTuple):
    """The moment a sample is taken, and how long after the one before."""

    at_ns: int
    step_s: float
    kernel: Kernel

    def rate(self, now: float, before: object, field: str) -> float:
        """How much ``field`` grew since the sample before, per second."""
        return _grown(now, before, field) / self.step_s if self.step_s > 0 else 0.0
