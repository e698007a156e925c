"""What a load generator says about one run."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Report:
    """One run of a generator, errors included: a run with errors is never used as a figure."""

    requests: int
    seconds: float
    errors: int
    received_bytes: int = 0
    sent_bytes: int = 0
    latency_us: dict[str, float] = field(default_factory=dict)  # "p50", "p99", "max", ...
    command: str = ""
    complaint: str = ""  # the generator's own words about its errors
    extra: dict[str, Any] = field(default_factory=dict)  # what only this generator knows

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0
