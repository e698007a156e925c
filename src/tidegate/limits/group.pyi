from tidegate.limits.limit import Limit

class Group:
    limits: tuple[Limit, ...]
    has_permits: bool
    needs_wall: bool
    def __init__(self, limits: tuple[Limit, ...]) -> None: ...
    def ask(
        self, head: bytes, now_ns: int, *, wall_ms: int = 0, tenant: bytes = b"", tier: str = ""
    ) -> tuple[str | None, int]:
        """Looks and charges for a request: the name of the limit that refuses, or None and nanoseconds to wait.

        Permits are taken before and given back after.
        """
    def peek(self, head: bytes, now_ns: int, *, wall_ms: int = 0, tenant: bytes = b"", tier: str = "") -> str | None:
        """The name of the limit that would refuse a request, changing nothing."""
    def ask_times(self, head: bytes, times: int) -> None:
        """Looks and charges so many times, a nanosecond apart: for benchmarks."""
    def __len__(self) -> int: ...
