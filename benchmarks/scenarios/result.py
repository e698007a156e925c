"""What every scenario is asked and what it hands back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from benchmarks import table
from benchmarks.goals import Verdict
from benchmarks.ground import Session


@dataclass(frozen=True)
class Wish:
    """What the command line asks of every scenario."""

    rounds: int = 12
    seconds: float = 1.0
    contenders: tuple[str, ...] = ()  # empty: the scenario's own
    instructions: bool = True
    progress: bool = True


@dataclass(frozen=True)
class Result:
    """The outcome of one scenario."""

    scenario: str
    title: str
    rows: Sequence[dict[str, str]]
    verdicts: Sequence[Verdict] = ()
    notes: Sequence[str] = ()
    raw: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [f"== {self.scenario}: {self.title}", table.render(self.rows)]
        parts += [f"  note: {note}" for note in self.notes]
        parts += [f"{verdict}" for verdict in self.verdicts]
        return "\n".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "scenario": self.scenario,
            "title": self.title,
            "rows": list(self.rows),
            "verdicts": [v.as_dict() for v in self.verdicts],
            "notes": list(self.notes),
            "raw": self.raw,
        }


class Scenario(Protocol):
    """One thing that is measured."""

    @property
    def name(self) -> str:
        """What ``--only`` calls it."""

    @property
    def title(self) -> str:
        """What it measures, in a line."""

    def run(self, session: Session, wish: Wish) -> Result:
        """Measures it."""
