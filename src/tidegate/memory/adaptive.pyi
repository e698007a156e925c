from typing import NamedTuple

from tidegate.memory.mapping import Mapping

ROWS: int
STATE_MAX: int

class Counts(NamedTuple):
    began_ns: int
    ended: int
    drops: int
    in_flight_max: int
    in_flight_sum: int
    started_ns: int
    first_end_ns: int
    latency_min_ns: int
    latency_sum_ns: int
    waited: int
    latencies: tuple[int, ...]
    waitings: tuple[int, ...]

def tag_of(limit: str) -> int: ...
def row_name(limit: str, fingerprint: int) -> int: ...
def adaptive_size(slots: int) -> int: ...

class Adaptive:
    slots: int
    slot: int
    def __init__(self, mapping: Mapping, slot: int) -> None: ...
    def add(
        self,
        row: int,
        started_ns: int,
        latency_ns: int,
        in_flight: int,
        was_dropped: bool = False,
        waiting_ns: int = -1,
    ) -> None: ...
    def take_row(self, first: int, rows: int, name: int, now_ns: int) -> int | None: ...
    def name(self, row: int) -> int: ...
    def is_due(self, row: int, now_ns: int, shortest_ns: int, samples_min: int) -> bool: ...
    def learned(self, row: int) -> int: ...
    def begin(self, row: int, now_ns: int) -> None: ...
    def take_turn(
        self, row: int, now_ns: int, *, shortest_ns: int, interval_ns: int, samples_min: int, samples: int
    ) -> int | None: ...
    def gather(self, row: int, interval: int) -> Counts: ...
    def remembered(self, row: int) -> bytes: ...
    def publish(self, row: int, interval: int, limit: int, changed_ns: int, state: bytes) -> bool: ...
    def seed(self, row: int, name: int, now_ns: int, limit: int, state: bytes) -> None: ...
