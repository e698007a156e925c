from typing import Literal, final

from tidegate.memory.quotas import QuotaTable

WINDOWS: tuple[str, ...]

@final
class QuotaLimit:
    table: QuotaTable
    maximum: int
    period_ms: int
    window: str
    def __init__(
        self,
        table: QuotaTable,
        maximum: int,
        period_ms: int,
        window: Literal["aligned", "first_use", "sliding"] = "aligned",
    ) -> None: ...
    def count(self, fingerprint: int, now_ms: int, wall_ms: int, cost: int = 1) -> tuple[int, tuple[int, int, int]]: ...
    def look(self, fingerprint: int, now_ms: int, wall_ms: int, cost: int = 1) -> tuple[int, tuple[int, int, int]]: ...
    def settle(self, fingerprint: int, now_ms: int, wall_ms: int, cost: int) -> None: ...
    def give_back(self, window: tuple[int, int, int], cost: int = 1) -> bool: ...
