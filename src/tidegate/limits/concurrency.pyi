from collections.abc import Sequence
from typing import NamedTuple

from tidegate.limits.bell import LimitBell
from tidegate.limits.queue import Waiter, WaitingRoom
from tidegate.memory.grants import GrantTable
from tidegate.memory.inflight import PermitTable

class ConcurrencyStatistics(NamedTuple):
    maximum: int
    in_flight: tuple[int, ...]
    guaranteed: tuple[int, ...]
    waiting: tuple[int, ...]
    waiting_here: int
    oldest_ns: int
    is_standing: bool

class ConcurrencyLimit:
    table: PermitTable
    bell: LimitBell
    room: WaitingRoom
    maximum: int
    def __init__(
        self,
        table: PermitTable,
        fingerprint: int,
        bell: LimitBell,
        *,
        maximum: int,
        queue: int = 0,
        queue_timeout_ns: int = 0,
        target_ns: int = 0,
        shares: Sequence[float] = (),
        more: Sequence[int] = (),
        frees_rows: bool = False,
        grants: GrantTable | None = None,
    ) -> None: ...
    def take(self, class_: int = 0) -> bool: ...
    def give_back(self, class_: int = 0) -> None: ...
    def enqueue(
        self, tenant: str, class_: int, weight: float, arrived_ns: int, which: int = 0
    ) -> tuple[Waiter | None, Waiter | None]: ...
    def on_bell(self, now_ns: int) -> list[Waiter]: ...
    def leave(self, waiter: Waiter) -> bool: ...
    def timed_out(self, now_ns: int) -> list[Waiter]: ...
    def close(self) -> list[Waiter]: ...
    def statistics(self, now_ns: int) -> ConcurrencyStatistics: ...
