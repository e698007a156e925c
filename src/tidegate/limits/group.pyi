from tidegate.limits.cost import CostMean
from tidegate.limits.limit import Limit

class Group:
    limits: tuple[Limit, ...]
    has_permits: bool
    needs_wall: bool
    has_measured: bool
    def __init__(self, limits: tuple[Limit, ...], means: dict[Limit, CostMean] | None = None) -> None: ...
    def ask(
        self, head: bytes, now_ns: int, *, wall_ms: int = 0, tenant: bytes = b"", tier: str = ""
    ) -> tuple[str | None, int]:
        """Looks and charges for a request: the name of the limit that refuses, or None and nanoseconds to wait.

        Permits are taken before and given back after.
        """
    def begin(
        self, head: bytes, now_ns: int, *, wall_ms: int = 0, tenant: bytes = b"", tier: str = ""
    ) -> tuple[str | None, int, bytearray | None]:
        """The same, and what ``end`` needs, with the permits still held; None when it was refused."""
    def end(
        self,
        ticket: bytearray,
        now_ns: int,
        *,
        wall_ms: int = 0,
        upstream_ns: int = 0,
        response_bytes: int = 0,
        costs: dict[str, float] | None = None,
    ) -> None:
        """Gives permits back and settles costs."""
    def costs(self, ticket: bytearray) -> list[float]:
        """What each limit has charged for that request."""
    def peek(self, head: bytes, now_ns: int, *, wall_ms: int = 0, tenant: bytes = b"", tier: str = "") -> str | None:
        """The name of the limit that would refuse a request, changing nothing."""
    def ask_times(self, head: bytes, times: int) -> None:
        """Looks and charges so many times, a nanosecond apart: for benchmarks."""
    def __len__(self) -> int: ...
