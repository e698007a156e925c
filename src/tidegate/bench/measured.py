"""What was measured, as it is kept and sent: counts, and histograms in HdrHistogram's own form.

Everything in it adds up, so that processes and machines that sent parts of one load are joined by adding their parts. A
quantile does not add up; it is read off the joined histograms (``document``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tidegate.bench.histogram import Histogram
from tidegate.bench.load import Load
from tidegate.bench.tally import Second

__all__ = ["ErrorCounts", "Measured", "SecondCounts", "StatusCounts", "counts_of", "joined", "measured_of", "merge"]

_FIRST: Final = 0


class StatusCounts(msgspec.Struct, frozen=True):
    """Answers of one status: latencies from when they were due, service times from when they were sent."""

    latency: str
    service: str


class ErrorCounts(msgspec.Struct, frozen=True):
    """Errors of one kind, and the words of the first."""

    count: int
    example: str


class SecondCounts(msgspec.Struct, frozen=True):
    """What happened in one second; ``at`` counts from the end of the warm-up. ``latency`` has two digits."""

    at: int
    due: int
    sent: int
    failed: int
    answers: dict[str, int]
    latency: str


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a load, or of a part of it."""

    seconds: float
    """For how long that was sent which is counted."""
    is_open_loop: bool
    is_stopped: bool
    """Somebody ended it before its time."""
    processes: int
    connections: int
    cpu_s: float
    due: int
    sent: int
    in_time: int
    waited: int
    unsent: int
    unfinished: int
    lost: int
    bytes_in: int
    bytes_out: int
    statuses: dict[str, StatusCounts]
    errors: dict[str, ErrorCounts]
    late: str
    connect: str
    by_second: list[SecondCounts]


def counts_of(second: Second) -> SecondCounts:
    """A second of a tally."""
    return SecondCounts(second.at, second.due, second.sent, second.failed, second.answers, second.latency.encode())


def measured_of(
    load: Load,
    by_second: Sequence[SecondCounts],
    *,
    seconds: float,
    connections: int,
    cpu_s: float,
    is_open_loop: bool,
) -> Measured:
    """What a load that has ended came to."""
    tally = load.tally
    return Measured(
        seconds=seconds,
        is_open_loop=is_open_loop,
        is_stopped=load.stopped_ns != 0,
        processes=1,
        connections=connections,
        cpu_s=cpu_s,
        due=tally.due,
        sent=tally.sent,
        in_time=tally.in_time,
        waited=tally.waited,
        unsent=tally.unsent,
        unfinished=load.unfinished,
        lost=tally.lost,
        bytes_in=load.bytes_in,
        bytes_out=load.bytes_out,
        statuses={str(one.status): StatusCounts(one.latency.encode(), one.service.encode()) for one in tally.outcomes},
        errors={kind: ErrorCounts(count, example) for kind, (count, example) in tally.errors.items()},
        late=tally.late.encode(),
        connect=tally.connect.encode(),
        by_second=list(by_second),
    )


def joined(texts: Iterable[str], digits: int = 3) -> Histogram:
    """The histograms of all these texts, added up. ValueError when one is none, or counts otherwise."""
    whole = Histogram(digits)
    for text in texts:
        whole.merge(Histogram.decode(text))
    return whole


def merge(parts: Sequence[Measured]) -> Measured:
    """The whole of which these are parts that ran at the same time. ValueError when they cannot be."""
    if len({part.is_open_loop for part in parts}) != 1:
        raise ValueError("parts of one load are all open loops, or all closed loops")
    statuses: dict[str, list[StatusCounts]] = defaultdict(list)
    errors: dict[str, list[ErrorCounts]] = defaultdict(list)
    seconds: dict[int, list[SecondCounts]] = defaultdict(list)
    for part in parts:
        for status, counts in part.statuses.items():
            statuses[status].append(counts)
        for kind, error in part.errors.items():
            errors[kind].append(error)
        for second in part.by_second:
            seconds[second.at].append(second)
    return Measured(
        seconds=max(part.seconds for part in parts),
        is_open_loop=parts[_FIRST].is_open_loop,
        is_stopped=any(part.is_stopped for part in parts),
        processes=sum(part.processes for part in parts),
        connections=sum(part.connections for part in parts),
        cpu_s=sum(part.cpu_s for part in parts),
        due=sum(part.due for part in parts),
        sent=sum(part.sent for part in parts),
        in_time=sum(part.in_time for part in parts),
        waited=sum(part.waited for part in parts),
        unsent=sum(part.unsent for part in parts),
        unfinished=sum(part.unfinished for part in parts),
        lost=sum(part.lost for part in parts),
        bytes_in=sum(part.bytes_in for part in parts),
        bytes_out=sum(part.bytes_out for part in parts),
        statuses={
            status: StatusCounts(
                joined(one.latency for one in counts).encode(), joined(one.service for one in counts).encode()
            )
            for status, counts in sorted(statuses.items())
        },
        errors={
            kind: ErrorCounts(sum(one.count for one in counts), counts[_FIRST].example)
            for kind, counts in sorted(errors.items())
        },
        late=joined(part.late for part in parts).encode(),
        connect=joined(part.connect for part in parts).encode(),
        by_second=[_together(at, counts) for at, counts in sorted(seconds.items())],
    )


def _together(at: int, counts: Sequence[SecondCounts]) -> SecondCounts:
    answers: dict[str, int] = defaultdict(int)
    for one in counts:
        for status_class, count in one.answers.items():
            answers[status_class] += count
    return SecondCounts(
        at,
        sum(one.due for one in counts),
        sum(one.sent for one in counts),
        sum(one.failed for one in counts),
        dict(sorted(answers.items())),
        joined((one.latency for one in counts), digits=2).encode(),
    )
