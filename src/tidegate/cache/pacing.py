"""When the next piece of a large value may be asked for: a rate in bytes a second, kept over any second."""

__all__ = ["Pacing"]


class Pacing:
    """A bucket of bytes that fills at ``bytes_per_s`` and holds one piece.

    Args:
        bytes_per_s: The rate; None: no bound.
    """

    __slots__ = ("_free_at", "bytes_per_s")

    def __init__(self, bytes_per_s: int | None) -> None:
        self.bytes_per_s = bytes_per_s
        self._free_at = 0.0

    def take(self, now: float, size: int) -> float:
        """Seconds to wait before asking for ``size`` bytes; they are taken."""
        if self.bytes_per_s is None:
            return 0.0
        begins = max(now, self._free_at)
        self._free_at = begins + size / self.bytes_per_s
        return begins - now

    def __repr__(self) -> str:
        return f"<Pacing {self.bytes_per_s} bytes/s, free at {self._free_at:.3f}>"
