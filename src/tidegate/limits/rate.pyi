from typing import Literal, final

from tidegate.memory.fingerprints import Fingerprints
from tidegate.memory.rates import RateTable

@final
class RateLimit:
    table: RateTable
    count: float
    period_ns: int
    burst: float
    is_delayed: bool
    interval_ns: int
    tolerance_ns: int
    delay_after_ns: int
    def __init__(
        self,
        table: RateTable,
        count: float,
        period_ns: int,
        burst: float = 0,
        excess: Literal["reject", "delay"] = "reject",
        delay_after: float = 0,
        max_delay_ns: int | None = None,
    ) -> None: ...
    def charge(self, fingerprint: int, now_ns: int, cost: float = 1) -> int: ...
    def charge_key(self, prints: Fingerprints, key: bytes, now_ns: int, cost: float = 1) -> int: ...
    def peek(self, fingerprint: int, now_ns: int, cost: float = 1) -> int: ...
    def refund(self, fingerprint: int, now_ns: int, arrival_ns: int, cost: float = 1) -> bool: ...
    def settle(self, fingerprint: int, now_ns: int, cost: float) -> None: ...
    def left(self, fingerprint: int, now_ns: int) -> tuple[int, int]: ...
