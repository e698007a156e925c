"""What a link tells of itself: to the admin API, to metrics, to tests."""

from typing import NamedTuple

from tidegate.memory.histogram import quantile_us
from tidegate.redis.meters import CommandMeter, Meters, PrefixMeter

__all__ = ["CommandStatistics", "LaneStatistics", "LinkStatistics", "PrefixStatistics", "statistics_of"]


class CommandStatistics(NamedTuple):
    """All calls of one command so far; p50 and p99 are upper ends of the histogram's buckets."""

    name: str
    calls: int
    errors: int
    p50_us: float
    p99_us: float
    max_us: int


class PrefixStatistics(NamedTuple):
    """All commands about keys that begin alike: up to the first colon."""

    prefix: str
    commands: int
    bytes_out: int
    bytes_in: int


class LaneStatistics(NamedTuple):
    """One lane of one server."""

    name: str
    address: str
    is_connected: bool
    in_flight: int
    waiting: int
    bytes_in_flight: int
    writes: int
    commands: int
    bytes_out: int
    bytes_in: int
    connects: int
    reconnects: int
    timeouts: int
    turned_away: int
    dropped: int  # replies that were read for a caller who had left


class LinkStatistics(NamedTuple):
    """Everything that a link knows of itself."""

    name: str
    is_available: bool
    lanes: tuple[LaneStatistics, ...]
    commands: tuple[CommandStatistics, ...]
    prefixes: tuple[PrefixStatistics, ...]


def statistics_of(name: str, is_available: bool, lanes: tuple[LaneStatistics, ...], meters: Meters) -> LinkStatistics:
    """The statistics of a link that has these lanes and meters."""
    return LinkStatistics(
        name,
        is_available,
        lanes,
        tuple(map(_of_command, meters.every_command())),
        tuple(map(_of_prefix, meters.every_prefix())),
    )


def _of_command(meter: CommandMeter) -> CommandStatistics:
    buckets = meter.buckets
    return CommandStatistics(
        meter.name, meter.count, meter.errors, quantile_us(buckets, 0.5), quantile_us(buckets, 0.99), meter.max_us
    )


def _of_prefix(meter: PrefixMeter) -> PrefixStatistics:
    return PrefixStatistics(meter.prefix, meter.commands, meter.bytes_out, meter.bytes_in)
