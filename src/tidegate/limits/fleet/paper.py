"""What a dry run would have come to of which the store is asked beside the traffic."""

from dataclasses import dataclass

__all__ = ["Paper"]


@dataclass(slots=True)
class Paper:
    """Requests that a limit would have let in, and refused, since this was taken last."""

    admitted: int = 0
    would_refuse: int = 0

    def count(self, is_admitted: bool) -> None:
        """One more."""
        self.admitted += is_admitted
        self.would_refuse += not is_admitted
