"""The spare worker's place: when one is started, and when it leaves for a place of its own.

One is kept while all workers serve; not while the gateway starts, drains or is being upgraded.
"""

from dataclasses import dataclass

from tidegate.process.child import Child, condition_of
from tidegate.process.place import Place
from tidegate.process.stack_pipe import StackPipe

__all__ = ["NO_SLOT", "SparePlace"]

NO_SLOT = -1
"""The slot in the order of a worker that is to wait for one."""

_FIRST_S = 3.0  # after the gateway is ready: whoever starts it looks at it first
_CALM_S = 0.25  # of all workers serving


@dataclass
class SparePlace(Place):
    """The spare's, in the supervisor."""

    stacks: StackPipe | None = None
    start_at_s: float | None = None
    _calm_since_s: float | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it could take a place now: one that is stopped would not say so."""
        return self.child is not None and self.has_prepared and condition_of(self.child.pid) in ("S", "R")

    def look(self, now_s: float, *, is_calm: bool, uptime_s: float) -> None:
        """Has one started once all workers have served for a moment."""
        if not is_calm:
            self._calm_since_s = self.start_at_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s
        elif self.child is None and self.start_at_s is None:
            self.start_at_s = max(self._calm_since_s + _CALM_S, now_s + _FIRST_S - uptime_s)

    def leave(self) -> tuple[Child, StackPipe]:
        """The process, which has got a place of its own, and where its stack is read."""
        child, stacks = self.child, self.stacks
        assert child is not None  # noqa: S101 - narrows the type
        assert stacks is not None  # noqa: S101 - narrows the type
        self.child = self.stacks = None
        self.has_prepared = False
        self.ready_s = self._calm_since_s = None
        return child, stacks

    def retire(self) -> None:
        self._close_stacks()
        super().retire()

    def vacate(self, reason: str) -> float:
        self._close_stacks()
        return super().vacate(reason)

    def _close_stacks(self) -> None:
        if self.stacks is not None:
            self.stacks.close()
            self.stacks = None
