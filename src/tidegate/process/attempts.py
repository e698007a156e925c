"""Attempts to upgrade: whether one may begin, the one that runs, and how the last ones went."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tidegate.process.child import Child
from tidegate.process.messages import UpgradeAsked, UpgradeStatus
from tidegate.process.place import Place
from tidegate.process.upgrade import Phase, Upgrade

if TYPE_CHECKING:
    from tidegate.process.supervisor import Supervisor

__all__ = ["Attempts"]

_KEPT = 4


class Attempts:
    """At most one at a time; who asked finds theirs by the name they gave it."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self.current: Upgrade | None = None
        self.past: list[UpgradeStatus] = []
        self._supervisor = supervisor

    def __repr__(self) -> str:
        return f"<Attempts {self.current!r} after {len(self.past)}>"

    def begin(self, asked: UpgradeAsked) -> None:
        """Begins, or says why not."""
        if reason := self._reason_against():
            generation = self._supervisor.workers.generation
            self._remember(UpgradeStatus(asked.attempt, Phase.FAILED.value, generation, reason=reason))
            self._supervisor.log.say("upgrade_refused", reason)
            return
        self.current = Upgrade(self._supervisor, asked)
        self._supervisor.log.say("upgrade_asked", f"to what {asked.program.python} runs", "info")

    def _reason_against(self) -> str:
        supervisor = self._supervisor
        if supervisor.stage.value != "running":
            return f"the gateway is {supervisor.stage.value}"
        if self.current is not None:
            return "another upgrade is under way"
        if supervisor.workers.publishes_until_s is not None:
            return "a reload is under way; try again when that has ended"
        for workforce in supervisor.retired:
            if workforce.is_gone:
                continue
            pids = ", ".join(str(place.child.pid) for place in workforce.places if place.child is not None)
            return f"workers of generation {workforce.generation} still finish what they have (pid {pids})"
        return ""

    def places(self) -> Iterator[tuple[Place, Callable[[], Child]]]:
        """Those of the one that runs."""
        if self.current is not None:
            yield from self.current.places()

    def fail(self, reason: str) -> None:
        """Ends the one that runs, if there is one and it can be ended."""
        if self.current is not None:
            self.current.fail(reason)

    def look(self) -> None:
        """Goes on with the one that runs."""
        if self.current is None:
            return
        self.current.step()
        if self.current.is_over:
            self._remember(self.current.status())
            self.current.close()
            self.current = None

    def statuses(self) -> list[UpgradeStatus]:
        """The last attempts and how they went or go."""
        return [*self.past, *([] if self.current is None else [self.current.status()])]

    def _remember(self, status: UpgradeStatus) -> None:
        self.past = [*self.past[1 - _KEPT :], status]
