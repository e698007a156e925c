"""Alternated rounds and what is concluded from them.

The machine runs at one of two speeds for seconds at a time, so a mean over a run says little. Each contender gets many
short rounds in rotated order; of each, the best third is kept (by requests a second for the rate, by CPU time for the
cost) and its median is the figure. The spread is the range of that third. The paired ratio, the median over rounds of
one contender's rate by the baseline's in the same rotation, is a second opinion that needs no best third.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Round:
    """One contender under load once."""

    contender: str
    rotation: int
    requests: int
    seconds: float
    errors: int
    cpu_us: float  # of all the contender's processes, per request
    cpu_busy: float  # share of the round the contender was on its core
    load_busy: float  # share of the round generator and upstream were on theirs
    received_bytes: int = 0
    sent_bytes: int = 0
    latency_us: dict[str, float] = field(default_factory=dict)
    complaint: str = ""

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def is_valid(self) -> bool:
        """Whether it may be used: it moved something and nothing failed."""
        return self.errors == 0 and self.requests > 0

    def as_dict(self) -> dict[str, Any]:
        """All fields and the rate, for JSON."""
        return {**asdict(self), "rate": self.rate}


@dataclass(frozen=True)
class Best:
    """The median of the best third of some values, and the range of that third."""

    value: float
    low: float
    high: float
    count: int

    @property
    def spread(self) -> float:
        """Half the range by the value."""
        return (self.high - self.low) / 2 / self.value if self.value else 0.0


def best_third(values: Iterable[float], highest: bool = True) -> Best:
    """The best third (at least one, rounded up) of ``values``; raises ValueError when there are none."""
    ordered = sorted(values, reverse=highest)
    if not ordered:
        raise ValueError("no valid round to take the best third of")
    kept = ordered[: -(-len(ordered) // 3)]
    return Best(statistics.median(kept), min(kept), max(kept), len(kept))


@dataclass(frozen=True)
class Standing:
    """What the rounds of one contender come to."""

    contender: str
    rate: Best
    cpu_us: Best | None  # None: it has no process of its own
    load_busy: float  # in its best rounds by rate
    cpu_busy: float
    valid: int
    invalid: int
    complaint: str = ""

    @property
    def is_load_bound(self) -> bool:
        """Whether the load core was full, so that the contender might have done more than was asked of it."""
        return self.load_busy >= 0.97 and self.cpu_busy < 0.97


def standing(contender: str, rounds: Sequence[Round]) -> Standing | None:
    """The standing of ``contender``; None when it has not one valid round."""
    own = [r for r in rounds if r.contender == contender]
    valid = [r for r in own if r.is_valid]
    if not valid:
        return None
    rate = best_third(r.rate for r in valid)
    best = [r for r in valid if r.rate >= rate.low]
    costs = [r.cpu_us for r in valid if r.cpu_us > 0]
    return Standing(
        contender=contender,
        rate=rate,
        cpu_us=best_third(costs, highest=False) if costs else None,
        load_busy=statistics.median(r.load_busy for r in best),
        cpu_busy=statistics.median(r.cpu_busy for r in best),
        valid=len(valid),
        invalid=len(own) - len(valid),
        complaint=next((r.complaint for r in own if r.complaint), ""),
    )


def paired_ratio(rounds: Sequence[Round], contender: str, baseline: str) -> float | None:
    """Median over rotations of the rate of ``contender`` by that of ``baseline``; None when they never met."""
    base = {r.rotation: r.rate for r in rounds if r.contender == baseline and r.is_valid}
    own = {r.rotation: r.rate for r in rounds if r.contender == contender and r.is_valid}
    ratios = [own[n] / base[n] for n in own.keys() & base.keys()]
    return statistics.median(ratios) if ratios else None


def order(names: Sequence[str], rotation: int) -> list[str]:
    """Who runs in which place of a rotation: rotated by one each time, so that nobody always follows the same one."""
    at = rotation % len(names) if names else 0
    return [*names[at:], *names[:at]]
