from typing import Final, final

from tidegate.memory.leases import LeaseTable

HELD_MS: Final[int]
"""How long an answer of the store is of use, in milliseconds since it was asked."""
FORGOTTEN_MS: Final[int]
"""How long the store remembers a machine that it does not hear, in milliseconds."""

@final
class GrantTable(LeaseTable):
    """A process's view of the table of a fleet's limit of concurrency, which all workers of the machine share."""

    def lent(self, fingerprint: int, now_ms: int) -> tuple[int, int]:
        """Permits that the store lends the machine, and until when; (0, now): none."""
    def own(self, fingerprint: int, now_ms: int) -> int:
        """What the machine allows itself, the store being away."""
    def maximum(self, fingerprint: int, now_ms: int, bound: int) -> int:
        """How many may be in flight here, of ``bound`` that are allowed in the fleet."""
    def begin(self, fingerprint: int, now_ms: int, wanted: int) -> int:
        """Begins a question for so many permits: no more are in use from here on. Its turn, -1: there is no room."""
    def answer(self, fingerprint: int, began_ms: int, turn: int, permits: int) -> bool:
        """Puts the answer in; False: somebody has asked since."""
    def allow(self, fingerprint: int, now_ms: int, until_ms: int, permits: int) -> None:
        """The machine allows itself so many until then."""
    def asked(self, fingerprint: int, now_ms: int) -> int:
        """Until when somebody's question keeps others from asking; 0: nobody asks."""
