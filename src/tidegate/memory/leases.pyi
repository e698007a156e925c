from typing import Final

from tidegate.memory.mapping import Mapping

EPOCH_MS: Final[int]
"""How long an epoch is, in milliseconds."""
LEASE_MS: Final[int]
"""The longest that what was borrowed is of use, in milliseconds."""
ASKED_MS: Final[int]
"""How long a question keeps others from asking, in milliseconds."""

class LeaseTable:
    """A process's view of a fleet limit's table, which all workers of the machine share."""

    evictions: int
    contended: int
    def __init__(self, mapping: Mapping, offset: int, sets: int) -> None: ...
    def take(self, fingerprint: int, now_ms: int, cost: int = 1) -> int:
        """Takes ``cost`` credits of one epoch; which one, -1: neither has so many."""
    def credits(self, fingerprint: int, now_ms: int) -> tuple[int, int]:
        """What is left of the epoch before, and of the current one."""
    def put(self, fingerprint: int, now_ms: int, epoch: int, count: int) -> None:
        """Adds what was borrowed in an epoch."""
    def end(self, fingerprint: int, epoch: int) -> int:
        """Takes all that is left of an epoch; how much."""
    def ask(self, fingerprint: int, now_ms: int, until_ms: int, cost: int = 1) -> bool:
        """Whether the caller is the one to ask the store for so much of this key, until then at most."""
    def free(self, fingerprint: int, now_ms: int) -> None:
        """Lets anybody ask again."""
    def close(self, fingerprint: int, now_ms: int, until_ms: int, least: int = 1) -> None:
        """Lets nobody ask until then who needs ``least`` or more: there is not so much."""
    def closed(self, fingerprint: int, now_ms: int, cost: int = 1) -> int:
        """Until when nobody asks for so much; 0: somebody may, or does."""
    def share(self, fingerprint: int, now_ms: int, until_ms: int, wanted: int, maximum: int) -> tuple[int, int]:
        """Lends of the machine's own share: how many, and when the window ends that they are of.

        ``until_ms`` is where a window ends that is opened now; ``maximum`` is what may be lent in one.
        """
    def held(self, fingerprint: int, now_ms: int) -> tuple[int, int]:
        """What the machine has of a quota's window, and when that ends; (0, now): nothing."""
    def hold(self, fingerprint: int, now_ms: int, until_ms: int, by: int) -> None:
        """It has so much more of it, or less; ``until_ms`` is where a window ends that is opened now."""
