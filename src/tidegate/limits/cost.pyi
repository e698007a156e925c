from tidegate.config.limits import Limit

class CostMean:
    value: float
    def __init__(self) -> None: ...
    def learned(self, taken: float) -> float:
        """The mean after one more request took so much; for tests."""

class Cost:
    constant: float
    is_measured: bool
    def __init__(self, settings: Limit) -> None: ...
    def of(self, head: bytes, holds: float, mean: CostMean | None = None) -> float:
        """What is charged for a request when it comes; for tests and tools."""
    def settled(self, upstream_ns: int, response_bytes: int) -> float:
        """What it has turned out to be; for tests and tools."""
