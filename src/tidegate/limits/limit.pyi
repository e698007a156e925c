from typing import Protocol

from tidegate.config.allotment import Place
from tidegate.config.limits import Limit as LimitSettings
from tidegate.limits.bell import WorkerBells
from tidegate.limits.fleet.allowance import PermitAllowance, QuotaAllowance, RateAllowance
from tidegate.limits.keys import RequestKey
from tidegate.limits.learner import Learner
from tidegate.limits.leased import Borrows
from tidegate.limits.unit_delay import UnitDelay
from tidegate.memory.adaptive import Adaptive
from tidegate.memory.grants import GrantTable
from tidegate.memory.inflight import Inflight, PermitTable
from tidegate.memory.leases import LeaseTable
from tidegate.memory.mapping import Mapping

class BorrowsPermits(Protocol):
    """Whoever borrows for a limit of concurrency: ``fleet.permits.PermitLender``."""

    def low(self, which: int) -> int:
        """With less than this left more is borrowed."""
    def see(self, which: int, fingerprint: int, fleet: int, tag: int) -> None:
        """Somebody has got a permit of this key."""
    def borrow(self, which: int, fingerprint: int, fleet: int, tag: int) -> None:
        """Asks the store for more."""
    def wait(self, which: int, fingerprint: int, fleet: int, tag: int) -> None:
        """Somebody waits for a question that is under way."""
    def decide(self, which: int, fingerprint: int, fleet: int, tag: int) -> None:
        """Somebody has waited as long as he may."""
    def ended(self, fingerprint: int) -> None:
        """A permit has ended."""

class Limit:
    name: str
    settings: LimitSettings
    key: RequestKey
    fleet_key: RequestKey | None
    allowances: list[RateAllowance | QuotaAllowance | PermitAllowance]
    lease_table: LeaseTable
    grants: GrantTable | None
    only_key: tuple[int, int, int] | None
    latency_cap_ns: int
    is_exact: bool
    kind: int
    is_dry: bool
    charges_failures: bool
    delays: bool
    is_of_endpoints: bool
    policies: list[str]
    permits: PermitTable | None
    has_queue: bool
    unit_delay: UnitDelay | None
    learner: Learner | None
    def __init__(
        self,
        name: str,
        settings: LimitSettings,
        place: Place,
        mapping: Mapping,
        secret: bytes,
        inflight: Inflight | None = None,
        bells: WorkerBells | None = None,
        classes: tuple[str, ...] = (),
        adaptive: Adaptive | None = None,
        now_ns: int = 0,
    ) -> None: ...
    def lend_by(self, lender: Borrows | BorrowsPermits | None) -> None:
        """Of a fleet's limit: who borrows for it from here on."""
    def tick(self, now_ns: int) -> None:
        """Ten times a second: decides what is due of a limit that learns, and follows what others have decided."""
    def held(self, key: bytes = b"") -> int:
        """Permits that all workers hold of a key of one part, or of a limit without key."""
    def take(self, key: bytes = b"", now_ns: int = 0) -> tuple[int, int] | None:
        """A permit of a key of one part: its row, and nanoseconds to wait with it; None: it is refused."""
    def give_back(self, row: int, key: bytes = b"", latency_s: float | None = None) -> None:
        """Ends it; ``latency_s``: what its request took, without what it waited."""
