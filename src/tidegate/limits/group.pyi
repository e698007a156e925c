from tidegate.limits.limit import Limit

class Group:
    limits: tuple[Limit, ...]
    def __init__(self, limits: tuple[Limit, ...]) -> None: ...
    def ask(self, head: bytes, now_ns: int, *, tenant: bytes = b"", tier: str = "") -> tuple[str | None, int]:
        """Looks and charges for a request: the name of the limit that refuses, or None and nanoseconds to wait."""
    def peek(self, head: bytes, now_ns: int, *, tenant: bytes = b"", tier: str = "") -> str | None:
        """The name of the limit that would refuse a request, changing nothing."""
    def __len__(self) -> int: ...
