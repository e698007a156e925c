from typing import Final, Protocol, final

from tidegate.memory.leases import LeaseTable

PENDING: Final[int]
"""What `LeasedLimit.take` returns when the store may have what the machine has not."""

class Borrows(Protocol):
    """Whoever borrows for a limit: ``fleet.lender.Lender``."""

    def low(self, which: int) -> int:
        """With less than this left of the current epoch more is borrowed."""
    def borrow(self, which: int, fingerprint: int, fleet: int, least: int) -> None:
        """Asks the store for credits of a key, at least so many."""
    def decide(self, which: int, fingerprint: int, fleet: int, cost: int) -> None:
        """The machine lends to itself, or refuses."""
    def spend(self, which: int, lease: int, fleet: int, tag: int, cost: int) -> None:
        """So much was served that nobody had credits for."""

@final
class LeasedLimit:
    """What one limit allows somebody, number ``which`` of what it allows."""

    table: LeaseTable
    which: int
    def __init__(self, table: LeaseTable, which: int, lender: Borrows | None = None) -> None: ...
    def lend_by(self, lender: Borrows | None) -> None:
        """Who borrows from here on."""
    def take(self, fingerprint: int, now_ns: int, cost: int = 1) -> int:
        """0, or negative: refused for so many nanoseconds, or `PENDING`. The key is the same in the store."""
    def look(self, fingerprint: int, now_ns: int, cost: int = 1) -> int:
        """What ``take`` would say; changes nothing."""
