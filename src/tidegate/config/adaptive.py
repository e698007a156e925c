"""``[limits.NAME] adaptive``: a bound on concurrency that is learned."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from tidegate.config.kinds import Doc, Duration, FieldName
from tidegate.config.section import Section

__all__ = ["OPTIONS", "Adaptive", "Windowed"]

Share = Annotated[float, Ge(0.001), Le(100.0)]
Part = Annotated[float, Ge(0.001), Le(1.0)]
Permits = Annotated[int, Ge(1), Le(65_535)]
Status = Annotated[int, Ge(400), Le(599)]

OPTIONS = {
    "target": ("queue_delay", "pid", "bbr"),
    "target_share": ("queue_delay", "pid", "bbr", "envoy"),
    "window": ("queue_delay", "pid", "bbr", "envoy"),
    "smoothing": ("gradient", "gradient2", "vegas"),
    "tolerance": ("gradient", "gradient2"),
    "backoff": ("gradient", "aimd"),
    "slow": ("aimd",),
}
"""Which algorithms have an option that not all of them have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windowed(Section):
    """What an algorithm is shown instead of an interval: a window, which ends with an interval."""

    shortest: Annotated[float, Duration(shortest=0.1), Doc("How long one lasts at least.")] = 1.0
    longest: Annotated[float, Duration(shortest=0.1), Doc("And at most, if it has enough samples by then.")] = 5.0
    samples: Annotated[int, Ge(1), Le(1_000_000), Doc("One with fewer goes on.")] = 10
    percentile: Annotated[
        Part | None, Doc("The latency that stands for a window, as a share of its answers; absent: their mean.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive(Section):
    """How a bound on concurrency is learned from what the upstream takes: see `docs/adaptive.md`."""

    algorithm: Annotated[
        Literal["queue_delay", "gradient", "gradient2", "vegas", "aimd", "envoy", "bbr", "pid"],
        Doc("Whose arithmetic; the name alone may stand for the table."),
    ] = "queue_delay"
    floor: Annotated[Permits, Doc("The least that it comes to.")] = 10
    ceiling: Annotated[Permits, Doc("The most.")] = 10_000
    initial: Annotated[
        Permits | None, Doc("What holds until something is learned. Absent: 100, 50 with gradient, 20 with the other "
                            "three of Netflix; within floor and ceiling.")
    ] = None  # fmt: skip
    interval: Annotated[
        float, Duration(shortest=0.1), Doc("How long is measured before the next decision; longer where answers are.")
    ] = 1.0
    samples: Annotated[int, Ge(1), Le(1_000_000), Doc("With so many it is decided before the interval is over.")] = 500
    samples_min: Annotated[int, Ge(1), Le(1_000_000), Doc("With fewer the interval goes on.")] = 20
    target: Annotated[
        float | None,
        Duration(),
        Doc("How long requests may wait at least, work not counted. Absent: 5ms."),
    ] = None
    target_share: Annotated[
        Share | None,
        Doc("And as a share of what slow answers take while nothing waits. Absent: 0.5, with envoy 0.25."),
    ] = None
    window: Annotated[
        float | None,
        Duration(shortest=1.0),
        Doc("How long is remembered what answers take while nothing waits. Absent: 30s."),
    ] = None
    smoothing: Annotated[Part | None, Doc("Which part of a change is made. Absent: 0.2, with vegas all of it.")] = None
    tolerance: Annotated[
        Share | None, Doc("How many times the usual latency is no queue yet. Absent: 2, with gradient2 1.5.")
    ] = None
    backoff: Annotated[Part | None, Doc("What an interval with drops leaves of the limit. Absent: 0.9.")] = None
    slow: Annotated[float | None, Duration(), Doc("An answer that took longer counts as a drop. Absent: 5s.")] = None
    overload: Annotated[
        tuple[Status, ...], Doc("Statuses of the upstream that say it has too much to do; they count as drops.")
    ] = (503, 504)
    waiting_field: Annotated[
        str | None,
        FieldName(),
        Doc("Field in which the upstream says how long a request waited there, in milliseconds; of `Server-Timing` the "
            "`dur` of `queue`. With it nothing has to be told apart."),
    ] = None  # fmt: skip
    windowed: Annotated[Windowed | None, Doc("Shows the algorithm windows instead of intervals.")] = None
    suggest: Annotated[
        bool, Doc("Also learns a bound for `concurrency` from what did no harm, and shows it in the status.")
    ] = False
    keys: Annotated[
        int,
        Ge(1),
        Le(128),
        Doc("Keys that are learned for at once; more are held to `initial`."),
    ] = 16
