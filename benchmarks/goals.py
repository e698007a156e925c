"""Goals: what a scenario demands of Tidegate, and whether it was reached."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """One demand with its figure: ``met`` is None when it could not be measured."""

    demand: str
    reached: float | None
    met: bool | None
    note: str = ""

    def __str__(self) -> str:
        word = {True: "met", False: "MISSED", None: "not measured"}[self.met]
        figure = "" if self.reached is None else f": {self.reached:.3g}"
        return f"{word:>12}  {self.demand}{figure}{f' ({self.note})' if self.note else ''}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"demand": self.demand, "reached": self.reached, "met": self.met, "note": self.note}


def at_least(demand: str, reached: float | None, bound: float, note: str = "") -> Verdict:
    """``reached`` must not be under ``bound``."""
    return Verdict(f"{demand} at least {bound:g}", reached, None if reached is None else reached >= bound, note)


def at_most(demand: str, reached: float | None, bound: float, note: str = "") -> Verdict:
    """``reached`` must not be over ``bound``."""
    return Verdict(f"{demand} at most {bound:g}", reached, None if reached is None else reached <= bound, note)


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """Prints each; 1 when one was missed or could not be measured."""
    print(*verdicts, sep="\n", flush=True)
    return int(not all(verdict.met for verdict in verdicts))
