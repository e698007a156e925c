"""What came of it, second by second."""

from __future__ import annotations

from collections import defaultdict

import msgspec

from tidegate.lab.sim.clock import SECOND_NS
from tidegate.lab.sim.scenario import Scenario
from tidegate.limits.adaptive.controller import Statistics

__all__ = ["Outcome", "Second", "Summary", "share_at"]


class Second(msgspec.Struct):
    """One second of virtual time."""

    at_s: int
    came: int = 0
    """Requests that came, from the cache or not."""
    tried: int = 0
    """Attempts to get a permit: those that came and those that try again."""
    served: int = 0
    """Answers in time, by the upstream."""
    refused: int = 0
    timed_out: int = 0
    """The upstream's time-outs, and answers that nobody waited for any more."""
    limit: int = 0
    in_flight: int = 0
    target_ms: float = 0.0
    """How long requests may wait, as the limit sees it; 0 when it has no target."""
    queue_delay_ms: float = 0.0
    """What the slowest tenth waited for a server."""
    capacity: float = 0.0
    """How many the backend can do a second."""
    demand: float = 0.0
    """How many a second ask for the backend, in the mean."""


class Summary(msgspec.Struct, frozen=True):
    """What came of it, in a line; of the time of trouble, if the scenario has one."""

    contender: str
    served: dict[str, float]
    """By stream, which part of those who came was served in the end."""
    goodput: float
    """What was served of what the backend could have done for them."""
    refused: int
    timed_out: int
    queue_delay_ms: float
    """Median of the seconds' slowest tenths."""
    queue_delay_p99_ms: float
    target_ms: float
    limit_least: int
    limit_most: int
    recovered_s: int | None
    """How long after the trouble everybody was served again."""


class Outcome:
    """One scenario with one contender.

    Args:
        scenario: What is played.
        contender: Whose limit it is.
    """

    def __init__(self, scenario: Scenario, contender: str) -> None:
        self.scenario = scenario
        self.contender = contender
        self.seconds = [
            Second(at, capacity=scenario.backend.capacity_at(at + 0.5), demand=scenario.demand_at(at + 0.5))
            for at in range(scenario.seconds)
        ]
        self.statistics: Statistics | None = None
        """Where an adaptive limit stood at the end."""
        self._waits: list[list[int]] = [[] for _ in self.seconds]
        self._came: dict[str, list[int]] = defaultdict(lambda: [0] * scenario.seconds)
        self._kept: dict[str, list[int]] = defaultdict(lambda: [0] * scenario.seconds)

    def __repr__(self) -> str:
        return f"<Outcome {self.contender}: {self.goodput_share(0, self.scenario.seconds):.1%} of what could be done>"

    # -- written by clients and backend --------------------------------------------------------------------------------

    def came(self, stream: str, now_ns: int) -> None:
        """A request of a stream came."""
        second = now_ns // SECOND_NS
        self.seconds[second].came += 1
        self._came[stream][second] += 1

    def cached(self, stream: str, came_ns: int) -> None:
        """It was answered by the cache."""
        self._kept[stream][came_ns // SECOND_NS] += 1

    def tried(self, now_ns: int) -> None:
        """It asked for a permit, for the first time or again."""
        if (second := self._second(now_ns)) is not None:
            second.tried += 1

    def served(self, stream: str, came_ns: int, now_ns: int) -> None:
        """It was answered in time."""
        self._kept[stream][came_ns // SECOND_NS] += 1
        if (second := self._second(now_ns)) is not None:
            second.served += 1

    def failed(self, verdict: str, now_ns: int) -> None:
        """An attempt ended otherwise."""
        if (second := self._second(now_ns)) is not None:
            if verdict == "refused":
                second.refused += 1
            else:
                second.timed_out += 1

    def waited(self, now_ns: int, waited_ns: int) -> None:
        """A server took a request that had waited so long."""
        if now_ns // SECOND_NS < len(self._waits):
            self._waits[now_ns // SECOND_NS].append(waited_ns)

    def looked(self, now_ns: int, limit: int, in_flight: int, target_ms: float) -> None:
        """The limit, its target and what was in flight; of a second the last look stays, in flight the most."""
        if (second := self._second(now_ns)) is not None:
            second.limit, second.target_ms = limit, target_ms
            second.in_flight = max(second.in_flight, in_flight)

    def close(self) -> None:
        """Everything has been written."""
        for second, waits in zip(self.seconds, self._waits, strict=True):
            second.queue_delay_ms = share_at(waits, 0.9) / 1e6

    def _second(self, now_ns: int) -> Second | None:
        at = now_ns // SECOND_NS
        return self.seconds[at] if at < len(self.seconds) else None

    # -- read ----------------------------------------------------------------------------------------------------------

    def goodput_share(self, begin_s: int, end_s: int) -> float:
        """What was served of what the backend could have done for those who came, 0 to about 1."""
        seconds = self.seconds[begin_s:end_s]
        possible = sum(min(one.capacity, one.demand) for one in seconds)
        return sum(one.served for one in seconds) / possible if possible else 1.0

    def served_share(self, begin_s: int = 0, end_s: int | None = None, stream: str | None = None) -> float:
        """Which part of those who came in that time was answered in the end."""
        names = [stream] if stream is not None else list(self._came)
        came = sum(sum(self._came[name][begin_s:end_s]) for name in names)
        return sum(sum(self._kept[name][begin_s:end_s]) for name in names) / came if came else 1.0

    def queue_delay_ms(self, begin_s: int, end_s: int, share: float = 0.5) -> float:
        """The queue delay that ``share`` of these seconds did not exceed."""
        return share_at([one.queue_delay_ms for one in self.seconds[begin_s:end_s]], share)

    def recovered_s(self, healed_s: int, share: float = 0.95, steady_s: int = 3) -> int | None:
        """How long after ``healed_s`` those who came were served, for some seconds on end; None: never."""
        for second in range(healed_s, len(self.seconds) - steady_s + 1):
            if self.served_share(second, second + steady_s) >= share:
                return second - healed_s
        return None

    def summary(self) -> Summary:
        """The figures of the time of trouble."""
        begin_s, end_s = self.scenario.trouble or (0, self.scenario.seconds)
        seconds = self.seconds[begin_s:end_s]
        targets = [one.target_ms for one in seconds]
        return Summary(
            contender=self.contender,
            served={name: self.served_share(begin_s, end_s, name) for name in sorted(self._came)},
            goodput=self.goodput_share(begin_s, end_s),
            refused=sum(one.refused for one in seconds),
            timed_out=sum(one.timed_out for one in seconds),
            queue_delay_ms=self.queue_delay_ms(begin_s, end_s),
            queue_delay_p99_ms=self.queue_delay_ms(begin_s, end_s, 0.99),
            target_ms=share_at(targets, 0.5),
            limit_least=min(one.limit for one in seconds),
            limit_most=max(one.limit for one in seconds),
            recovered_s=self.recovered_s(end_s) if self.scenario.trouble else None,
        )


def share_at(values: list[int] | list[float], share: float) -> float:
    """The value that ``share`` of them do not exceed; 0 when there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
