"""A new snapshot on its way to all workers: active on every one of them, or on none.

Rules:
- Whoever serves has to have prepared it before the switch; one that is dead by then is no obstacle.
- A worker that starts meanwhile builds the active snapshot and is told of the new one as well. Once it serves it is
  waited for like the others; if the switch comes first, it serves when it has prepared the new one, not before. So no
  worker ever serves that has not prepared what is active.
- One refusal, or one that neither reports nor dies by the deadline, ends the attempt: all forget it.
- A number is used once, so that a late report cannot be taken for one about something else.

`tests/process/publication_model.py` walks through every order of these events.
"""

from collections.abc import Sequence

from tidegate.process.child import condition_of
from tidegate.process.messages import Forget, Prepare
from tidegate.process.place import WorkerPlace

__all__ = ["DEADLINE_S", "Publication"]

DEADLINE_S = 10.0


class Publication:
    """One attempt. `verdict` decides and changes nothing; who asks acts on it."""

    def __init__(self, number: int, fd: int, places: Sequence[WorkerPlace], now_s: float) -> None:
        self.number = number
        self.fd = fd
        self.deadline_s = now_s + DEADLINE_S
        self._places = places
        self._reasons: list[str] = []
        for place in places:
            self.propose_to(place)

    def __repr__(self) -> str:
        return f"<Publication {self.number} waits for {[place.name for place in self._missing()]}>"

    def propose_to(self, place: WorkerPlace) -> None:
        """Tells the worker in ``place``, if there is one."""
        if place.child is None or place.child.channel is None:
            return
        if not place.child.channel.send(Prepare(number=self.number, fd=self.fd)):
            self._reasons.append(f"{place.name} does not listen{_condition(place)}")

    def refused(self, place: WorkerPlace, reason: str) -> None:
        """A worker cannot build it."""
        self._reasons.append(f"{place.name}: {reason}")

    def give_up(self, reason: str) -> None:
        """Something else ends the attempt."""
        self._reasons.append(reason)

    def verdict(self, now_s: float) -> list[str] | None:
        """None: not decided yet. Empty: it can become active. Else: why it cannot."""
        if self._reasons:
            return list(self._reasons)
        missing = self._missing()
        if missing and now_s >= self.deadline_s:
            silent = (f"{place.name} has neither prepared it nor ended{_condition(place)}" for place in missing)
            return [f"{reason} within {DEADLINE_S:g} s" for reason in silent]
        return None if missing else []

    def withdraw(self) -> None:
        """Tells all who may have built it that it will not be."""
        for place in self._places:
            if place.child is not None and place.child.channel is not None:
                place.child.channel.send(Forget(number=self.number))

    def _missing(self) -> list[WorkerPlace]:
        return [place for place in self._places if place.is_told_to_serve and place.prepared < self.number]


def _condition(place: WorkerPlace) -> str:
    """What the kernel says about a worker that is silent, in brackets."""
    if place.child is None:
        return ""
    condition = condition_of(place.child.pid)
    if not condition:
        return ""
    word = {"T": "stopped", "t": "stopped by a debugger", "D": "waiting in the kernel"}.get(condition, "")
    return f" (pid {place.child.pid}, {word})" if word else f" (pid {place.child.pid})"
