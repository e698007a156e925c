"""How the gateway is, as one JSON document: `/status`, and what `tidegate status` shows."""

import datetime as dt
import os
import time
from pathlib import Path
from typing import Any

import msgspec

from tidegate.config.allotment import SET_BYTES
from tidegate.config.limits import Limit
from tidegate.memory.fingerprints import Fingerprints
from tidegate.memory.hitters import HitterReader
from tidegate.memory.inflight import Inflight, PermitTable, waiting_fingerprint
from tidegate.memory.meters import SHED_REASON_NAMES, VERDICTS, MeterReader, SeriesSums
from tidegate.memory.quotas import QuotaTable
from tidegate.memory.rates import RateTable
from tidegate.observe.cache_metrics import AGE, BYTES, SOURCE_AGE, UNTOLD, WAITING, tiers_in
from tidegate.observe.hitters import hitters_document
from tidegate.observe.learned import Learned, documents, learned_in
from tidegate.observe.sample import Sample
from tidegate.observe.saturation import WorkerSaturation
from tidegate.process.view import GatewayView, WorkerView
from tidegate.redis.load import NODE_SERIES
from tidegate.redis.report import LANE_EVENTS

__all__ = ["status_document"]


def status_document(view: GatewayView) -> dict[str, Any]:
    """Everything that is known now; ``saturation`` is the worst of the last fifteen seconds."""
    now_ns = time.monotonic_ns()
    gateway = view.snapshot.gateway
    vitals = view.latest()
    saturation = vitals.saturation
    by_slot = {one.slot: one for one in saturation.workers}
    reader = MeterReader(view.region.mapping)
    learned = learned_in(view.region, view.snapshot)
    by_upstream = {one.name: one for one in reader.sums() if one.kind == "upstream"}
    return {
        "snapshot": snapshot_document(view),
        "generation": view.generation,
        "pid": view.supervisor_pid,
        "uptime_s": round((now_ns - view.started_ns) / 1e9, 3),
        "state": "draining" if view.is_draining else "serving",
        "saturation": saturation.value,
        "saturation_signals": saturation.signals,
        "suspects_itself": vitals.suspicion.is_on,
        "workers": [
            _worker(worker, reader.counters(worker.mark.slot), by_slot.get(worker.mark.slot), view)
            for worker in view.workers(now_ns)
        ],
        "upstreams": [
            {
                "name": name,
                "balance": upstream.balance,
                "endpoints": [{"address": one.address, "weight": one.weight} for one in upstream.endpoints],
                **_measured(by_upstream.get(name)),
            }
            for name, upstream in gateway.upstreams.items()
        ],
        "redis": [
            {"name": name, "url": redis.url, "lanes": _lanes(name, reader)} for name, redis in gateway.redis.items()
        ],
        "caches": [_cache(name, reader) for name in gateway.cache],
        "limits": [_limit(name, limit, reader, view, learned) for name, limit in gateway.limits.items()],
        "heavy_hitters": hitters_document(reader, HitterReader(view.region.mapping), now_ns),
        "shed": _shed(reader),
        "machine": None if vitals.sample is None else _machine(vitals.sample),
        "upgrades": [] if view.roster is None else [msgspec.structs.asdict(one) for one in view.roster.upgrades],
        "access_log": None if view.log_writer is None else view.log_writer.statistics()._asdict(),
    }


def snapshot_document(view: GatewayView) -> dict[str, Any]:
    """What is active, where it came from, and what became of the last attempt to change it."""
    origin, reloader = view.snapshot.origin, view.reloader
    last = None if reloader is None else reloader.last
    return {
        "number": view.region.snapshot_number,
        "etag": view.snapshot.etag,
        "kind": origin.kind,
        "source": origin.name,
        "by": origin.by,
        "since": dt.datetime.fromtimestamp(origin.at_s if reloader is None else reloader.since_s, dt.UTC).isoformat(),
        "last_reload": None
        if last is None
        else {
            "result": last.result,
            "message": last.message,
            "at": dt.datetime.fromtimestamp(last.at_s, dt.UTC).isoformat(),
            "by": last.by,
            "took_s": last.took_s,
        },
    }


def _worker(
    worker: WorkerView, counters: dict[str, int], saturation: WorkerSaturation | None, view: GatewayView
) -> dict[str, Any]:
    return {
        "index": worker.mark.slot % view.region.workers,
        "generation": worker.mark.generation,
        "pid": worker.mark.pid,
        "state": worker.state,
        "heartbeat_age_s": round(worker.heartbeat_age_ns / 1e9, 3),
        "saturation": 0.0 if saturation is None else saturation.value,
        "saturation_signals": {} if saturation is None else saturation.signals,
        "connections": counters["connections_open"],
        "exchanges": counters["exchanges_open"],
        "exchanges_total": counters["exchanges_started"],
        "queued": view.region.slot(worker.mark.slot).queued,
        "snapshot": worker.mark.prepared,
        "restarts": worker.told.restarts,
        "last_death": worker.told.last_death,
        "stalled_in": worker.told.stalled_in,
        "memory_bytes": _resident_bytes(worker.mark.pid),
        "shed_level": counters["shed_level_ppm"] / 1e6,
        # Of a generation that was followed by another: what it still has is closed then.
        "drains_for_s": _seconds_left(worker.told.drains_until_s),
    }


def _shed(reader: MeterReader) -> dict[str, dict[str, int]]:
    """Requests that were refused because a worker had too much to do, by class and reason."""
    by_class = {name: where for (kind, name), where in reader.places().items() if kind == "shed"}
    counts = {name: reader.read("shed", name, where).classes for name, where in by_class.items()}
    return {
        name: {f"{reason}_total": count for reason, count in zip(SHED_REASON_NAMES, of, strict=False)}
        for name, of in counts.items()
        if any(of)
    }


def _limit(name: str, limit: Limit, reader: MeterReader, view: GatewayView, learned: list[Learned]) -> dict[str, Any]:
    counts = reader.read("limit", name, reader.places().get(("limit", name), [])).classes
    return {
        "name": name,
        "kind": limit.kind if limit.adaptive is None else "adaptive",
        "rate": limit.rate,
        "burst": limit.burst,
        "excess": limit.excess,
        "quota": limit.quota,
        "window_s": limit.window,
        "concurrency": limit.concurrency,
        "adaptive": None if limit.adaptive is None else limit.adaptive.algorithm,
        "learned": documents(learned, name),
        "queue": limit.queue,
        "key": list(limit.key or ()),
        "dry_run": limit.dry_run,
        **_remembered(name, limit, view),
        **{f"{verdict}_total": count for verdict, count in zip(VERDICTS, counts, strict=False)},
    }


def _remembered(name: str, limit: Limit, view: GatewayView) -> dict[str, Any]:
    """What shared memory says of a limit; None is what it does not say.

    ``evictions_total``: keys that were forgotten before their time, for want of room. ``in_flight``: permits that are
    held, and ``waiting``: requests that wait for one, of a limit without key.
    """
    place, mapping = view.snapshot.places.get(name), view.region.mapping
    evictions = in_flight = waiting = None
    if place is not None and limit.kind != "concurrency":
        table = RateTable if limit.kind == "rate" else QuotaTable
        evictions = table(mapping, place.at * SET_BYTES, place.units - 1).evictions
    elif place is not None and not limit.key:
        permits = PermitTable(Inflight(mapping), place.at, place.units)
        fingerprint = Fingerprints(view.region.secret, name).of_key(b"")
        in_flight, waiting = sum(permits.counts(fingerprint)), sum(permits.counts(waiting_fingerprint(fingerprint)))
    return {"evictions_total": evictions, "in_flight": in_flight, "waiting": waiting}


def _measured(sums: SeriesSums | None) -> dict[str, Any]:
    if sums is None:
        nothing = dict.fromkeys(("exchanges_total", "failures_total", "connections", "waiting"), 0)
        return {**nothing, "seconds_total": 0.0, "rtt_ms": None}
    return {
        "exchanges_total": sums.exchanges,
        "seconds_total": round(sums.duration_ns / 1e9, 6),
        "failures_total": sums.failures,
        "connections": sums.open,
        "waiting": sums.waiting,
        "rtt_ms": round(sums.rtt_ns / 1e6, 3) if sums.rtt_ns else None,
    }


def _cache(name: str, reader: MeterReader) -> dict[str, Any]:
    """What workers tell of a cache, of all of them together; ``age_s`` is of the oldest value at hand.

    ``source_age_s``: how long ago all that had changed in its source was known; None when it watches none.
    """
    tiers = {one.tier: one for one in tiers_in(reader) if one.cache == name}
    now = {metric.name: value for one in tiers.values() for metric, value in one.gauges.items()}
    return {
        "name": name,
        "bytes": now.get(BYTES.name, 0),
        "age_s": now.get(AGE.name, 0),
        "waiting": now.get(WAITING.name, 0),
        "untold": now.get(UNTOLD.name, 0),
        "source_age_s": now.get(SOURCE_AGE.name),
        "load_s_total": round(tiers["origin"].load_s, 3) if "origin" in tiers else 0.0,
        "tiers": {
            tier: {f"{event}_total": count for event, count in one.events.items()} for tier, one in tiers.items()
        },
    }


def _lanes(link: str, reader: MeterReader) -> list[dict[str, Any]]:
    """The lanes of a link that have been used, of all workers together."""
    found = []
    for (kind, name), places in reader.places().items():
        owner, _, lane = name.partition(" ")
        if kind == "redis_lane" and owner == link and lane and not lane.startswith(NODE_SERIES):
            connections, waiting, in_flight = reader.gauges(places)
            events = zip(LANE_EVENTS, reader.read(kind, name, places).classes, strict=True)
            counts = {f"{event}_total": count for event, count in events}
            now = {"connections": connections, "waiting": waiting, "in_flight": in_flight}
            found.append({"lane": lane, **now, **counts})
    return found


def _machine(sample: Sample) -> dict[str, Any]:
    """What the kernel counts; None is what it does not say."""
    return {
        "time_wait": sample.kernel.time_wait,
        "local_ports": sample.kernel.ports,
        "local_ports_share": sample.ports_share,
        "link_share": sample.link_share,
        "retransmit_share": round(sample.retransmit_share, 6),
        "listen_overflows_total": sample.kernel.listen_overflows_total,
        "descriptors_share": sample.descriptors_share,
    }


def _seconds_left(until_s: float | None) -> float | None:
    return None if until_s is None else round(max(0.0, until_s - time.monotonic()), 3)


def _resident_bytes(pid: int) -> int:
    """Resident memory of a process, what it touched of the shared region included; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
