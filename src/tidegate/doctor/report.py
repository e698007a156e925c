"""All that was found, the worst first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from tidegate.doctor.directions import Direction
from tidegate.doctor.finding import INCIDENTS, SEVERITIES, Finding, Unseen

__all__ = ["Report"]


@dataclass(frozen=True, slots=True)
class Report:
    """What an examination came to; ``looked`` names the checks that were made."""

    findings: tuple[Finding, ...]
    unseen: tuple[Unseen, ...]
    looked: tuple[str, ...]
    directions: tuple[Direction, ...] = ()

    @classmethod
    def of(
        cls, said: Iterable[Finding | Unseen], looked: Iterable[str], directions: Iterable[Direction] = ()
    ) -> Report:
        """The report of what checks have said, in any order."""
        everything = list(said)
        findings = [one for one in everything if isinstance(one, Finding)]
        findings.sort(key=lambda one: SEVERITIES.index(one.severity))
        unseen = dict.fromkeys(one for one in everything if isinstance(one, Unseen))
        return cls(tuple(findings), tuple(unseen), tuple(looked), tuple(directions))

    @property
    def is_serious(self) -> bool:
        """Whether anything should be mended before there is traffic."""
        return any(one.severity == "serious" for one in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """Findings by severity."""
        return {name: sum(one.severity == name for one in self.findings) for name in SEVERITIES}

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "serious": self.is_serious,
            "counts": self.counts,
            "findings": [{**asdict(one), "happened": INCIDENTS[one.incident]} for one in self.findings],
            "could_not_look": [asdict(one) for one in self.unseen],
            "directions": [{**asdict(one), "is_failing": one.is_failing} for one in self.directions],
            "looked": list(self.looked),
        }
