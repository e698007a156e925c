"""Where adaptive limits stand: for `/status`, and as metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from tidegate.config.allotment import Place
from tidegate.config.limits import Limit
from tidegate.config.snapshot import Snapshot
from tidegate.limits.adaptive.algorithm import Why
from tidegate.limits.adaptive.controller import Statistics
from tidegate.limits.adaptive.shared import remembered_of, rows_of
from tidegate.limits.keys import RequestKey
from tidegate.memory.adaptive import row_name
from tidegate.memory.region import Region
from tidegate.observe.metric_names import Families, Metric

__all__ = ["LEARNED", "Learned", "learned_families", "learned_in"]

_LIMIT = Metric(
    "tidegate_adaptive_limit",
    "gauge",
    ("limit", "endpoint"),
    "requests that may be under way at once, as an adaptive limit has learned it; of limits by `endpoint` each one's",
)
_IN_FLIGHT = Metric(
    "tidegate_adaptive_in_flight", "gauge", ("limit", "endpoint"), "the most that were, in the last interval"
)
_QUEUE_DELAY = Metric(
    "tidegate_adaptive_queue_delay_seconds",
    "gauge",
    ("limit", "endpoint"),
    "how long the slowest tenth waited behind the limit in the last interval",
)
_TARGET = Metric(
    "tidegate_adaptive_queue_delay_target_seconds", "gauge", ("limit", "endpoint"), "how long they may; 0: it has none"
)
_FLOOR = Metric(
    "tidegate_adaptive_floor_seconds",
    "gauge",
    ("limit", "endpoint"),
    "what the upstream takes while nothing waits, as far as the limit knows",
)
_DECISIONS = Metric(
    "tidegate_adaptive_decisions_total", "counter", ("limit", "endpoint"), "intervals by which it was decided"
)
_DECISION = Metric(
    "tidegate_adaptive_decision", "gauge", ("limit", "endpoint", "why"), "1 for why the last decision was what it was"
)
_SUGGESTED = Metric(
    "tidegate_adaptive_suggested", "gauge", ("limit", "endpoint"), "the fixed bound that healthy peaks suggest"
)
LEARNED = (_LIMIT, _IN_FLIGHT, _QUEUE_DELAY, _TARGET, _FLOOR, _DECISIONS, _DECISION, _SUGGESTED)


class Learned(NamedTuple):
    """One adaptive limit, or one key of it.

    ``key`` is None where the limit has none, an endpoint's address, or the fingerprint of what else it is.
    """

    name: str
    key: str | None
    is_endpoint: bool
    limit: int
    stands: Statistics | None
    """None: nothing was decided yet."""

    def document(self, now_ns: int) -> dict[str, Any]:
        """For `/status`; times in milliseconds."""
        stands = self.stands
        if stands is None:
            return {"key": self.key, "limit": self.limit, "why": Why.NOTHING_YET, "decisions_total": 0}
        changed_s = round(max(0, now_ns - stands.changed_ns) / 1e9, 3) if stands.changed_ns else None
        return {
            "key": self.key,
            "limit": self.limit,
            "in_flight_max": stands.in_flight,
            "queue_delay_ms": round(stands.queue_delay_ns / 1e6, 3),
            "target_ms": round(stands.target_ns / 1e6, 3),
            "floor_ms": round(stands.floor_ns / 1e6, 3),
            "why": stands.why,
            "changed_from": stands.changed_from or None,
            "changed_s_ago": changed_s,
            "decisions_total": stands.decisions,
            "suggested": stands.suggested,
        }


def learned_in(region: Region, snapshot: Snapshot) -> list[Learned]:
    """Every adaptive limit of the snapshot, or each of its keys that is learned for, as it stands."""
    found = []
    for name, limit in snapshot.gateway.limits.items():
        place = snapshot.places.get(name)
        if limit.adaptive is not None and place is not None:
            found += list(_of_limit(region, snapshot, name, limit, place))
    return found


def _of_limit(region: Region, snapshot: Snapshot, name: str, limit: Limit, place: Place) -> Iterator[Learned]:
    shared = region.adaptive(0)
    endpoints = _endpoints(region, snapshot, name, limit)
    rows = dict(rows_of(shared, name, place))
    if not rows and not limit.key:
        yield Learned(name, None, False, _initial(limit), None)
    for row, row_is in rows.items():
        known = remembered_of(shared, row)
        key = endpoints.get(row_is, f"{row_is >> 16:012x}") if limit.key else None
        learned = shared.learned(row) or _initial(limit)
        yield Learned(name, key, row_is in endpoints, learned, None if known is None else known.stands)


def _initial(limit: Limit) -> int:
    from tidegate.limits.adaptive.configured import configured

    assert limit.adaptive is not None  # noqa: S101 - narrows the type
    return configured(limit.adaptive).limit


def _endpoints(region: Region, snapshot: Snapshot, name: str, limit: Limit) -> dict[int, str]:
    """What the rows of known addresses are called, where the limit is by endpoint and nothing else."""
    if [part.source for part in limit.key_parts] != ["endpoint"]:
        return {}
    key = RequestKey(region.secret, name, limit.key_parts)
    addresses = {one.address for upstream in snapshot.gateway.upstreams.values() for one in upstream.endpoints}
    return {row_name(name, key.fingerprint_of_text(address.encode())): address for address in addresses}


def learned_families(learned: list[Learned]) -> Families:
    """The metrics with their samples; keys that are no endpoints are in `/status` only."""
    shown = [one for one in learned if one.key is None or one.is_endpoint]
    labels = {one: {"limit": one.name, "endpoint": one.key or ""} for one in shown}
    yield _LIMIT, [(labels[one], one.limit) for one in shown]
    told = [(labels[one], one.stands) for one in shown if one.stands is not None]
    yield _IN_FLIGHT, [(label, stands.in_flight) for label, stands in told]
    yield _QUEUE_DELAY, [(label, stands.queue_delay_ns / 1e9) for label, stands in told]
    yield _TARGET, [(label, stands.target_ns / 1e9) for label, stands in told]
    yield _FLOOR, [(label, stands.floor_ns / 1e9) for label, stands in told]
    yield _DECISIONS, [(label, stands.decisions) for label, stands in told]
    yield _DECISION, [({**label, "why": str(why)}, int(why is stands.why)) for label, stands in told for why in Why]
    yield _SUGGESTED, [(label, stands.suggested) for label, stands in told if stands.suggested is not None]


def documents(learned: list[Learned], name: str) -> list[dict[str, Any]]:
    """Those of one limit, for `/status`, the widest first."""
    now_ns = time.monotonic_ns()
    return [one.document(now_ns) for one in sorted(learned, key=lambda one: -one.limit) if one.name == name]
