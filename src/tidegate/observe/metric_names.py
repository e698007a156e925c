"""Every metric there is: name, type, labels and where its value comes from; for the exposition and the manual."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from tidegate.memory.meters import SeriesTotals


class Metric(NamedTuple):
    """One family of samples. ``counters`` are names of meters, each with the labels its sample carries."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str
    counters: tuple[tuple[str, dict[str, str]], ...] = ()
    scale: float = 1.0  # the meter counts this many of the metric's units


Samples: TypeAlias = list[tuple[dict[str, str], float | SeriesTotals]]
"""Of one family: labels and value; of a histogram, the series that it is drawn from."""

Families: TypeAlias = Iterable[tuple[Metric, Samples]]
"""What a module tells of one matter, in the order of the exposition. One without samples is there all the same."""


def _plain(name: str, type_: str, counter: str, meaning: str) -> Metric:
    return Metric(name, type_, (), meaning, ((counter, {}),))


def _path(counter: str, path: str, cause: str) -> tuple[str, dict[str, str]]:
    return counter, {"path": path, "cause": cause}


def _bytes(side: str, direction: str) -> tuple[str, dict[str, str]]:
    return f"bytes_{side}_{direction}", {"side": side, "direction": direction}


SUMMED = (
    _plain("tidegate_connections_accepted_total", "counter", "connections_accepted", "client connections accepted"),
    _plain("tidegate_connections_open", "gauge", "connections_open", "client connections open now"),
    Metric(
        "tidegate_connections_refused_total",
        "counter",
        ("bound",),
        "client connections closed at once: over `max_connections_per_address` (address)",
        (("connections_refused_address", {"bound": "address"}),),
    ),
    Metric(
        "tidegate_accept_pauses_total",
        "counter",
        ("cause",),
        "times accepting paused, so that clients wait in the backlog: as many connections as `max_connections` allows, "
        "or out of descriptors",
        (
            ("accept_pauses_full", {"cause": "max_connections"}),
            ("accept_pauses", {"cause": "descriptors"}),
        ),
    ),
    _plain("tidegate_tls_handshakes_total", "counter", "tls_handshakes", "TLS handshakes with clients completed"),
    _plain("tidegate_tls_failures_total", "counter", "tls_failures", "TLS handshakes with clients that failed"),
    _plain("tidegate_exchanges_started_total", "counter", "exchanges_started", "requests whose head was read"),
    _plain("tidegate_exchanges_open", "gauge", "exchanges_open", "exchanges under way now"),
    Metric(
        "tidegate_exchange_path_total",
        "counter",
        ("path", "cause"),
        "exchanges by the way they went: `sync` within one callback, `async` because of an async filter, a connection "
        "that had to be opened (dial), a full pool, or a limit that delays",
        (
            _path("exchanges_sync", "sync", ""),
            _path("exchanges_async_filter", "async", "filter"),
            _path("exchanges_async_dial", "async", "dial"),
            _path("exchanges_async_pool", "async", "pool"),
            _path("exchanges_async_limit", "async", "limit"),
        ),
    ),
    _plain("tidegate_client_aborts_total", "counter", "client_aborts", "exchanges the client left before their end"),
    _plain("tidegate_requests_refused_total", "counter", "requests_refused", "requests refused as malformed"),
    _plain(
        "tidegate_requests_unauthenticated_total",
        "counter",
        "requests_unauthenticated",
        "requests that presented no key that is known, on routes with `auth`, or that a "
        "filter answered with 401: no token, or none that lets in",
    ),
    _plain("tidegate_upstream_dials_total", "counter", "upstream_dials", "connections to upstreams begun"),
    _plain(
        "tidegate_upstream_dial_failures_total", "counter", "upstream_dial_failures", "of those, the ones that failed"
    ),
    _plain(
        "tidegate_upstream_reuses_total", "counter", "upstream_reuses", "exchanges that went over a kept connection"
    ),
    _plain("tidegate_upstream_retries_total", "counter", "upstream_retries", "exchanges tried a second time"),
    _plain("tidegate_upstream_connections_open", "gauge", "upstream_open", "connections to upstreams open now"),
    _plain(
        "tidegate_upstream_waiting", "gauge", "upstream_waiting", "exchanges that wait for a connection of a pool now"
    ),
    _plain(
        "tidegate_clients_recent",
        "gauge",
        "clients_asked",
        "different clients that sent a request in the latest second",
    ),
    _plain(
        "tidegate_clients_lost_recent",
        "gauge",
        "clients_failing",
        "of these, the ones whose connection was reset or took nothing any more",
    ),
    _plain(
        "tidegate_gateway_exhausted_total",
        "counter",
        "gateway_exhausted",
        "connections not opened because this machine ran out of ports, descriptors or memory",
    ),
    _plain("tidegate_upgrades_open", "gauge", "upgrades_open", "upgraded connections (WebSocket) open now"),
    Metric(
        "tidegate_bytes_total",
        "counter",
        ("side", "direction"),
        "bytes read (in) and written (out), heads included, by side: downstream is clients, upstream is servers",
        (
            _bytes("downstream", "in"),
            _bytes("downstream", "out"),
            _bytes("upstream", "in"),
            _bytes("upstream", "out"),
        ),
    ),
    _plain(
        "tidegate_log_lines_lost_total",
        "counter",
        "log_lines_lost",
        "access log lines dropped because the disk was slower than the workers for too long",
    ),
)
"""Summed over all workers."""

BY_WORKER = (
    Metric("tidegate_gc_collections_total", "counter", ("worker",), "runs of the collector", (("gc_collections", {}),)),
    Metric(
        "tidegate_gc_pause_seconds_total",
        "counter",
        ("worker",),
        "time the collector held the worker",
        (("gc_pause_ns", {}),),
        scale=1e9,
    ),
    Metric(
        "tidegate_gc_pause_max_seconds",
        "gauge",
        ("worker",),
        "longest such pause since the worker started",
        (("gc_pause_max_ns", {}),),
        scale=1e9,
    ),
    Metric(
        "tidegate_loop_lag_seconds",
        "gauge",
        ("worker",),
        "how late the worker's latest 50 ms timer was",
        (("loop_lag_ns", {}),),
        scale=1e9,
    ),
    Metric(
        "tidegate_loop_lag_max_seconds",
        "gauge",
        ("worker",),
        "latest it has ever been since the worker started",
        (("loop_lag_max_ns", {}),),
        scale=1e9,
    ),
    Metric(
        "tidegate_loop_lag_recent_seconds",
        "gauge",
        ("worker",),
        "latest it was in this second and the one before",
        (("loop_lag_recent_ns", {}),),
        scale=1e9,
    ),
    Metric(
        "tidegate_queue_delay_recent_seconds",
        "gauge",
        ("worker",),
        "longest that a request waited to be read, or for a connection of a pool, in two seconds",
        (("queue_delay_recent_ns", {}),),
        scale=1e9,
    ),
    Metric(
        "tidegate_shed_level",
        "gauge",
        ("worker",),
        "classes of traffic that the worker refuses for having too much to do: 0 none, 1.3 the least important one and "
        "three in ten of the next",
        (("shed_level_ppm", {}),),
        scale=1e6,
    ),
    Metric(
        "tidegate_pool_share_max",
        "gauge",
        ("worker",),
        "connections in use and exchanges waiting for one, over what the pool may have, of the worker's fullest pool",
        (("pool_share_max_ppm", {}),),
        scale=1e6,
    ),
)
"""One sample for each worker slot."""

WORKER_STATE = Metric(
    "tidegate_worker_state", "gauge", ("worker", "state"), "1 for what the worker is: starting, ready, draining, dead"
)
WORKER_HEARTBEAT = Metric(
    "tidegate_worker_heartbeat_age_seconds", "gauge", ("worker",), "time since the worker's loop last stamped its slot"
)
WORKER_SNAPSHOT = Metric(
    "tidegate_worker_snapshot_number", "gauge", ("worker",), "latest snapshot the worker has prepared"
)
WORKER_MEMORY = Metric(
    "tidegate_worker_resident_memory_bytes",
    "gauge",
    ("worker",),
    "resident memory of the worker, what it touched of the shared region included",
)
WORKER_CPU = Metric(
    "tidegate_worker_cpu_seconds_total", "counter", ("worker",), "processor time of the worker process, user and system"
)
LOOP_STALLS = Metric(
    "tidegate_loop_stalls_total",
    "counter",
    ("worker",),
    "times that the worker's loop was held for longer than `server.stall_notice`",
)
LOOP_STALL = Metric("tidegate_loop_stall_seconds", "gauge", ("worker",), "how long it is held now; 0: it turns")
LOOP_STALL_MAX = Metric("tidegate_loop_stall_max_seconds", "gauge", ("worker",), "longest that it was ever held")
WORKERS = (
    WORKER_STATE,
    WORKER_HEARTBEAT,
    LOOP_STALLS,
    LOOP_STALL,
    LOOP_STALL_MAX,
    WORKER_SNAPSHOT,
    WORKER_MEMORY,
    WORKER_CPU,
)

EXCHANGES = Metric(
    "tidegate_exchanges_total", "counter", ("route", "class"), "exchanges by route and class of the status answered"
)
EXCHANGE_BYTES = Metric(
    "tidegate_exchange_body_bytes_total", "counter", ("route", "direction"), "bytes of bodies from and to clients"
)
EXCHANGE_DURATION = Metric(
    "tidegate_exchange_duration_seconds",
    "histogram",
    ("route",),
    "from the request's first byte to the end of the exchange",
)
UPSTREAM_EXCHANGES = Metric(
    "tidegate_upstream_exchanges_total",
    "counter",
    ("upstream", "class"),
    "exchanges by upstream and class of the status it answered",
)
UPSTREAM_BYTES = Metric(
    "tidegate_upstream_body_bytes_total", "counter", ("upstream", "direction"), "bytes of bodies from and to upstreams"
)
UPSTREAM_DURATION = Metric(
    "tidegate_upstream_duration_seconds",
    "histogram",
    ("upstream",),
    "from handing the request over to the end of the answer's head",
)
SERIES = {
    "route": (EXCHANGES, EXCHANGE_BYTES, EXCHANGE_DURATION),
    "upstream": (UPSTREAM_EXCHANGES, UPSTREAM_BYTES, UPSTREAM_DURATION),
}

LIMIT_REQUESTS = Metric(
    "tidegate_limit_requests_total",
    "counter",
    ("limit", "verdict"),
    "requests by limit and verdict: admitted, refused, delayed (admitted after a wait), would_refuse (a dry run)",
)

SHED_REQUESTS = Metric(
    "tidegate_shed_total",
    "counter",
    ("class", "reason"),
    "requests refused because a worker had too much to do, by class of traffic (`all`: there are none) and by the "
    "bound that was passed: loop_lag, memory, in_flight",
)
FLEET_EVENTS = Metric(
    "tidegate_limit_fleet_total",
    "counter",
    ("limit", "event"),
    "of limits of a whole fleet: questions to the store (`asked`) and those that `failed`; credits or permits "
    "`borrowed` of it, `returned` unused, and `self_lent` while it was away",
)
FLEET_NODES = Metric(
    "tidegate_limit_fleet_nodes",
    "gauge",
    ("limit",),
    "gateways that share the limit's store, as they were last counted",
)
LIMIT_EVICTIONS = Metric(
    "tidegate_limit_evictions_total",
    "counter",
    ("limit",),
    "keys that a limit gave up before their time, for want of room (`keys`)",
)
LIMIT_CONTENDED = Metric(
    "tidegate_limit_contended_total",
    "counter",
    ("limit",),
    "charges refused after a thousand lost races in a row",
)
LIMIT_CROWDED = Metric(
    "tidegate_limit_crowded_total",
    "counter",
    ("limit",),
    "requests refused because a limit on concurrency had no row for their key (`keys`)",
)
LIMIT_ROOMS = (LIMIT_EVICTIONS, LIMIT_CONTENDED, LIMIT_CROWDED)

SNAPSHOT = Metric("tidegate_snapshot_number", "gauge", (), "number of the configuration snapshot that is served")
SERIES_REFUSED = Metric(
    "tidegate_metrics_series_refused_total",
    "counter",
    (),
    "routes, upstreams and limits that count as `other` because `metrics.series` was reached",
)
LOG_BYTES = Metric(
    "tidegate_access_log_bytes_total", "counter", (), "bytes of access log written since control started"
)
LOG_FAILURES = Metric(
    "tidegate_access_log_write_failures_total", "counter", (), "writes of the access log that failed, such as disk full"
)
ERROR_EVENTS = Metric(
    "tidegate_error_log_events_total", "counter", (), "things said to control's error log, written or counted"
)
CONTROL = (SNAPSHOT, SERIES_REFUSED, LOG_BYTES, LOG_FAILURES, ERROR_EVENTS)

METRICS: tuple[Metric, ...] = (
    *SUMMED,
    *BY_WORKER,
    *WORKERS,
    *CONTROL,
    LIMIT_REQUESTS,
    SHED_REQUESTS,
    FLEET_EVENTS,
    FLEET_NODES,
    *LIMIT_ROOMS,
    *(metric for metrics in SERIES.values() for metric in metrics),
)
"""Every metric, in the order of the exposition."""
