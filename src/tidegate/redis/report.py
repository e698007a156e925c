"""What a link has counted, copied to the worker's meters in shared memory.

Shared counters outlive the worker, those of a link do not: what is added is the difference to the last time.
"""

from typing import TYPE_CHECKING

from tidegate.memory.meters import Meters as SharedMeters

if TYPE_CHECKING:
    # Control imports this module for its names, and has no use for hiredis.
    from tidegate.redis.meters import Meters
    from tidegate.redis.statistics import LaneStatistics, LinkStatistics

__all__ = ["LANE_EVENTS", "Report"]

LANE_EVENTS = ("commands", "writes", "connects", "timeouts", "turned_away", "dropped")
"""What the classes of a lane's series count, in this order."""


class Report:
    """One link's.

    Args:
        name: Of the link, the first word of its series' names.
        shared: The worker's meters.
    """

    def __init__(self, name: str, shared: SharedMeters) -> None:
        self._name = name
        self._shared = shared
        self._series: dict[tuple[str, str], int] = {}
        self._told: dict[tuple[str, str], list[int]] = {}

    def publish(self, statistics: "LinkStatistics", meters: "Meters") -> None:
        """Adds what has been counted since the last time."""
        for lane in _by_lane(statistics.lanes):
            counts = [getattr(lane, event) for event in LANE_EVENTS]
            new = self._since("redis_lane", lane.name, [*counts, lane.bytes_in, lane.bytes_out])
            series = self._place("redis_lane", lane.name)
            self._shared.add_to_series(series, classes=new[:6], bytes_in=new[6], bytes_out=new[7])
            self._shared.set_gauges(series, lane.is_connected, lane.waiting, lane.in_flight)
        for command in meters.every_command():
            now = [command.count - command.errors, command.errors, command.total_us, *command.buckets]
            done, errors, total_us, *buckets = self._since("redis_command", command.name, now)
            if done or errors:
                self._shared.add_to_series(
                    self._place("redis_command", command.name),
                    classes=[done, errors, 0, 0, 0, 0],
                    duration_ns=total_us * 1000,
                    buckets=buckets,
                )
        for prefix in meters.every_prefix():
            new = self._since("redis_keys", prefix.prefix, [prefix.commands, prefix.bytes_in, prefix.bytes_out])
            if new[0]:
                self._shared.add_to_series(
                    self._place("redis_keys", prefix.prefix),
                    classes=[new[0], 0, 0, 0, 0, 0],
                    bytes_in=new[1],
                    bytes_out=new[2],
                )

    def _place(self, kind: str, name: str) -> int:
        key = (kind, name)
        if key not in self._series:
            self._series[key] = self._shared.series_index(kind, f"{self._name} {name}")
        return self._series[key]

    def _since(self, kind: str, name: str, now: list[int]) -> list[int]:
        before = self._told.get((kind, name)) or [0] * len(now)
        self._told[(kind, name)] = now
        return [max(0, new - old) for new, old in zip(now, before, strict=True)]

    def __repr__(self) -> str:
        return f"<Report of redis {self._name}, {len(self._series)} series>"


def _by_lane(lanes: "tuple[LaneStatistics, ...]") -> "list[LaneStatistics]":
    """Lanes of one name together: a cluster has one of each for every node."""
    found: dict[str, LaneStatistics] = {}
    for one in lanes:
        known = found.get(one.name)
        counted = [field for field in one._fields if field not in ("name", "address")]
        summed = {field: getattr(known, field, 0) + getattr(one, field) for field in counted}
        found[one.name] = one._replace(**summed)
    return list(found.values())
