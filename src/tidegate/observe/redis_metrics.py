"""Metrics of the links to Redis, from what workers copy into their series once a second."""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.memory.meters import MeterReader, SeriesTotals
from tidegate.observe.metric_names import Families, Metric, Samples
from tidegate.redis.load import NODE_SERIES
from tidegate.redis.report import LANE_EVENTS

__all__ = ["REDIS", "redis_families"]

_Places = Mapping[str, list[tuple[int, int]]]

COMMANDS = Metric(
    "tidegate_redis_commands_total",
    "counter",
    ("redis", "command", "result"),
    "commands that were answered, by result: `ok`, or `error` as the server's own answer",
)
DURATION = Metric(
    "tidegate_redis_command_duration_seconds",
    "histogram",
    ("redis", "command"),
    "from handing a command to its connection until its reply was read, without what callers did meanwhile",
)
EVENTS = Metric(
    "tidegate_redis_lane_events_total",
    "counter",
    ("redis", "lane", "event"),
    "what happened on a lane: `commands` sent in `writes` system calls, `connects`, `timeouts`, callers `turned_away` "
    "because too many waited, replies `dropped` because their callers had left",
)
LANE_BYTES = Metric(
    "tidegate_redis_lane_bytes_total",
    "counter",
    ("redis", "lane", "direction"),
    "bytes of commands (out) and of values in replies (in)",
)
CONNECTIONS = Metric("tidegate_redis_connections", "gauge", ("redis", "lane"), "connections open now, of all workers")
IN_FLIGHT = Metric("tidegate_redis_in_flight", "gauge", ("redis", "lane"), "commands that wait for their reply now")
WAITING = Metric(
    "tidegate_redis_waiting", "gauge", ("redis", "lane"), "callers that wait for room or for a connection now"
)
KEY_COMMANDS = Metric(
    "tidegate_redis_key_commands_total",
    "counter",
    ("redis", "keys"),
    "commands by the beginning of their key, up to its first colon",
)
KEY_BYTES = Metric(
    "tidegate_redis_key_bytes_total",
    "counter",
    ("redis", "keys", "direction"),
    "bytes of commands (out) and of values in replies (in) by the beginning of their key",
)
NODE_COMMANDS = Metric(
    "tidegate_redis_node_commands_total",
    "counter",
    ("redis", "node"),
    "commands that a server has done, for whomever, since one of the machine's workers looks at it",
)
NODE_BUSY = Metric(
    "tidegate_redis_node_busy_seconds_total",
    "counter",
    ("redis", "node"),
    "seconds that its main thread was on a processor meanwhile: at 0.7 a second it is at 70 % of what it can do",
)
REDIS = (
    COMMANDS,
    DURATION,
    EVENTS,
    LANE_BYTES,
    CONNECTIONS,
    IN_FLIGHT,
    WAITING,
    KEY_COMMANDS,
    KEY_BYTES,
    NODE_COMMANDS,
    NODE_BUSY,
)
"""Every metric of this module, in the order of the exposition."""


def redis_families(reader: MeterReader, by_kind: Mapping[str, _Places]) -> Families:
    """The families of links.

    Args:
        reader: Of the shared meters.
        by_kind: Where series lie: kind → name → places.
    """
    samples: dict[Metric, Samples] = {metric: [] for metric in REDIS}
    for name, places in by_kind.get("redis_command", {}).items():
        one = reader.read("redis_command", name, places)
        labels = _labels(name, "command")
        if any(one.classes):
            samples[COMMANDS] += [
                ({**labels, "result": result}, count)
                for result, count in zip(("ok", "error"), one.classes, strict=False)
            ]
            samples[DURATION].append((labels, one))
    for name, places in by_kind.get("redis_lane", {}).items():
        _add_lane(samples, reader, name, places)
    for name, places in by_kind.get("redis_keys", {}).items():
        one = reader.read("redis_keys", name, places)
        labels = _labels(name, "keys")
        if one.classes[0]:
            samples[KEY_COMMANDS].append((labels, one.classes[0]))
            samples[KEY_BYTES] += _bytes(labels, one)
    return samples.items()


def _add_lane(samples: dict[Metric, Samples], reader: MeterReader, name: str, places: list[tuple[int, int]]) -> None:
    one = reader.read("redis_lane", name, places)
    if name == "other" and not any(one.classes):
        return  # nothing is other yet
    labels = _labels(name, "lane")
    if labels["lane"].startswith(NODE_SERIES):
        node = {"redis": labels["redis"], "node": labels["lane"].removeprefix(NODE_SERIES)}
        samples[NODE_COMMANDS].append((node, one.classes[0]))
        samples[NODE_BUSY].append((node, one.duration_ns / 1e9))
        return
    samples[EVENTS] += [
        ({**labels, "event": event}, count) for event, count in zip(LANE_EVENTS, one.classes, strict=True)
    ]
    samples[LANE_BYTES] += _bytes(labels, one)
    for metric, value in zip((CONNECTIONS, WAITING, IN_FLIGHT), reader.gauges(places), strict=True):
        samples[metric].append((labels, value))


def _bytes(labels: dict[str, str], one: SeriesTotals) -> Samples:
    return [({**labels, "direction": "in"}, one.bytes_in), ({**labels, "direction": "out"}, one.bytes_out)]


def _labels(name: str, second: str) -> dict[str, str]:
    """A series is named for the link and what it counts, with a space between; ``other`` has no link."""
    link, has_both, what = name.partition(" ")
    return {"redis": link, second: what} if has_both else {"redis": "other", second: "other"}
