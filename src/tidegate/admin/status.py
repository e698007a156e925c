"""How the gateway is, as one JSON document: `/status`, and what `tidegate status` shows."""

import datetime as dt
import time
from typing import Any

from tidegate.memory.region import read_meters
from tidegate.process.view import GatewayView, WorkerView

__all__ = ["status_document", "worker_saturation"]

_LAG_TARGET_NS = 100_000_000  # a loop later than this is said to be blocked


def status_document(view: GatewayView) -> dict[str, Any]:
    """Everything that is known now.

    ``saturation`` is 1 when the worst of its signals is at its bound. Known signals: lag of the loop (bound 100 ms) and
    connections over ``max_connections``.
    """
    now_ns = time.monotonic_ns()
    gateway = view.snapshot.gateway
    share = max(1, gateway.server.max_connections // view.region.workers)
    workers = [_worker(view, worker, share) for worker in view.workers(now_ns)]
    totals = read_meters(view.region)
    by_upstream = {one.name: one for one in totals.series if one.kind == "upstream"}
    upstreams = []
    for name, upstream in gateway.upstreams.items():
        measured = by_upstream.get(name)
        classes = measured.classes if measured is not None else ()
        upstreams.append(
            {
                "name": name,
                "balance": upstream.balance,
                "endpoints": [{"address": one.address, "weight": one.weight} for one in upstream.endpoints],
                "exchanges_total": sum(classes),
            }
        )
    return {
        "snapshot": snapshot_document(view),
        "generation": view.generation,
        "pid": view.supervisor_pid,
        "uptime_s": round((now_ns - view.started_ns) / 1e9, 3),
        "state": "draining" if view.is_draining else "serving",
        "saturation": max((worker["saturation"] for worker in workers), default=0.0),
        "workers": workers,
        "upstreams": upstreams,
        "limits": [],
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


def worker_saturation(worker: WorkerView, *, lag_ns: int, connections: int, connections_max: int) -> float:
    """The worst signal over its bound. A loop that stands is late since its last heartbeat, whatever it measured."""
    late_ns = worker.heartbeat_age_ns if worker.is_stalled else lag_ns
    return round(max(late_ns / _LAG_TARGET_NS, connections / connections_max), 3)


def _worker(view: GatewayView, worker: WorkerView, connections_max: int) -> dict[str, Any]:
    counters = read_meters(view.region, worker.mark.slot).counters
    connections = counters["connections_open"]
    return {
        "index": worker.mark.slot,
        "pid": worker.mark.pid,
        "state": worker.state,
        "heartbeat_age_s": round(worker.heartbeat_age_ns / 1e9, 3),
        "saturation": worker_saturation(
            worker, lag_ns=counters["loop_lag_ns"], connections=connections, connections_max=connections_max
        ),
        "connections": connections,
        "exchanges": counters["exchanges_open"],
        "exchanges_total": counters["exchanges_started"],
        "snapshot": worker.mark.prepared,
        "restarts": worker.told.restarts,
        "last_death": worker.told.last_death,
    }
