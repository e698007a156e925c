"""What the rules look at."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from tidegate.config.findings import Path, nearest
from tidegate.config.load import Source
from tidegate.config.schema import Gateway
from tidegate.config.structure import Shaped

__all__ = ["Subject"]


@dataclass(frozen=True, slots=True)
class Subject:
    """The well-formed part of a configuration, and a way to say what is wrong with it."""

    source: Source
    shaped: Shaped[Gateway]
    gateway: Gateway
    # where secrets stand, by their path in the file; a reference is one too
    secrets: dict[Path, str] = field(default_factory=dict)

    def names(self, table: str) -> list[str]:
        """The names that the file declares in ``table``, well-formed or not."""
        declared = (self.source.tree or {}).get(table)
        return [str(name) for name in declared] if isinstance(declared, dict) else []

    def says(self, path: Path) -> bool:
        """Whether the file itself gives a value at ``path``, rather than the default."""
        value: Any = self.source.tree
        for part in self.shaped.original(path) if self.shaped.kept else path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def find(
        self, path: Path, message: str, *, suggestion: str = "", severity: Literal["error", "warning"] = "error"
    ) -> None:
        """Adds a finding about what is at ``path`` in the gateway."""
        place = self.shaped.original(path)
        self.source.findings.append(self.source.finding(place, message, suggestion=suggestion, severity=severity))

    def warn(self, path: Path, message: str) -> None:
        """Adds a warning about what is at ``path`` in the gateway."""
        self.find(path, message, severity="warning")

    def line(self, path: Path) -> int:
        """The line of what is at ``path`` in the gateway."""
        return self.source.position(self.shaped.original(path))[0]

    def unknown(self, path: Path, what: str, name: str, known: Iterable[str]) -> None:
        """Adds a finding about a name that nothing declares."""
        names = list(known)
        suggestion = nearest(name, names)
        listed = "" if suggestion or not names else f"; there are {', '.join(names[:20])}"
        self.find(path, f'no {what} is named "{name}"{listed}', suggestion=suggestion)
