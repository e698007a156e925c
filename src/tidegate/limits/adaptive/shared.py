"""One limit for all workers: whoever finds the interval over decides, and goes on from what the last one knew.

A worker keeps nothing of it. Before it decides, a controller is made and set to what was remembered with the last
decision, by whichever worker, and what it knows afterwards is remembered for the next, with where it stands for those
who look. What holds this together is in ``memory.adaptive``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from tidegate.config.allotment import Place
from tidegate.limits.adaptive.controller import Controller, Decision, Statistics
from tidegate.limits.adaptive.tally import interval_of
from tidegate.memory.adaptive import Adaptive, tag_of

__all__ = ["Remembered", "SharedLimit", "remembered_of", "rows_of"]

_TAG = 0xFFFE


class Remembered(msgspec.Struct, array_like=True, frozen=True):
    """What one worker leaves to the next, when, and what it tells those who look."""

    decided_ns: int
    learned: dict[str, float]
    stands: Statistics

    def encode(self) -> bytes:
        """As shared memory holds it."""
        return msgspec.msgpack.encode(self)


_decoder = msgspec.msgpack.Decoder(Remembered)


def remembered_of(shared: Adaptive, row: int) -> Remembered | None:
    """What was remembered of a row with the last decision; None: nothing, or nothing that this program understands."""
    content = shared.remembered(row)
    try:
        return _decoder.decode(content) if content else None
    except msgspec.MsgspecError:
        return None


def rows_of(shared: Adaptive, limit: str, place: Place) -> Iterator[tuple[int, int]]:
    """The rows in which the limit of that name learns now: which, and what it is called."""
    tag = tag_of(limit)
    for row in range(place.learns_at, place.learns_at + place.learners):
        name = shared.name(row)
        if name and name & _TAG == tag:
            yield row, name


class SharedLimit:
    """An adaptive limit as one worker sees it.

    Args:
        shared: The worker's view of the samples and limits.
        row: Which of them is this limit's.
        make: Makes a controller that has learned nothing, with the bounds of the limit.
    """

    def __init__(self, shared: Adaptive, row: int, make: Callable[[], Controller]) -> None:
        self.shared = shared
        self.row = row
        self._make = make
        fresh = make()
        self.initial = fresh.limit
        bounds = fresh.bounds()
        self._shortest_ns, self._samples_min = bounds["shortest_ns"], bounds["samples_min"]

    @property
    def limit(self) -> int:
        """How many may be in flight on the machine."""
        return self.shared.learned(self.row) or self.initial

    def turn(self, now_ns: int) -> Decision | None:
        """Decides for all if the interval is over and nobody else has; else None. Called by timer."""
        if not self.shared.is_due(self.row, now_ns, self._shortest_ns, self._samples_min):
            return None
        controller = self._make()
        known = remembered_of(self.shared, self.row)
        if known is not None:
            controller.restore(known.learned, known.decided_ns)
        interval = self.shared.take_turn(self.row, now_ns, **controller.bounds())
        if interval is None:
            return None
        decision = controller.decide(interval_of(self.shared.gather(self.row, interval), now_ns))
        state = Remembered(now_ns, controller.export(now_ns), controller.statistics()).encode()
        self.shared.publish(self.row, interval, decision.limit, controller.changed_ns, state)
        return decision

    def __repr__(self) -> str:
        return f"<SharedLimit {self.limit} in row {self.row}>"
