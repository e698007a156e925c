from collections.abc import Sequence
from typing import NamedTuple

from tidegate.memory.mapping import Mapping

SERIES_SIZE: int
METERS_SIZE: int
COUNTER_NAMES: tuple[str, ...]
GAUGES: frozenset[str]
VERDICTS: tuple[str, ...]
FLEET_EVENTS: tuple[str, ...]
SHED_REASON_NAMES: tuple[str, ...]
CROWDED_AT: int

class SeriesTotals(NamedTuple):
    kind: str
    name: str
    classes: tuple[int, ...]
    bytes_in: int
    bytes_out: int
    duration_ns: int
    buckets: tuple[int, ...]

class SeriesSums(NamedTuple):
    kind: str
    name: str
    exchanges: int
    bytes_in: int
    bytes_out: int
    duration_ns: int
    failures: int
    retransmits: int
    rtt_ns: int
    open: int
    waiting: int
    endpoints_asked: int
    endpoints_failing: int

class MeterTotals(NamedTuple):
    counters: dict[str, int]
    series: list[SeriesTotals]
    series_refused: int

class Meters:
    def __init__(self, mapping: Mapping, slot: int) -> None: ...
    def count(self, name: str, amount: int = 1) -> None: ...
    def set(self, name: str, value: int) -> None: ...
    def series_index(self, kind: str, name: str) -> int: ...
    def record_exchange(
        self, series: int, status: int, duration_ns: int, bytes_in: int = 0, bytes_out: int = 0, times: int = 1
    ) -> None: ...
    def add_to_series(
        self,
        series: int,
        *,
        classes: Sequence[int],
        duration_ns: int = 0,
        bytes_in: int = 0,
        bytes_out: int = 0,
        buckets: Sequence[int] = (),
    ) -> None: ...
    def set_gauges(self, series: int, open: int, waiting: int, asked: int) -> None: ...  # noqa: A002 - as the gauge is called
    def record_limit(self, series: int, verdict: str, times: int = 1) -> None: ...
    def record_upstream(
        self,
        series: int,
        *,
        failures: int = 0,
        rtt_ns: int = 0,
        retransmits: int = 0,
        open: int = 0,  # noqa: A002 - as the gauge is called
        waiting: int = 0,
        asked: int = 0,
        failing: int = 0,
    ) -> None: ...

class MeterReader:
    slots: int
    series_max: int
    def __init__(self, mapping: Mapping) -> None: ...
    def counters(self, slot: int | None = None) -> dict[str, int]: ...
    @property
    def series_refused(self) -> int: ...
    def places(self, slot: int | None = None) -> dict[tuple[str, str], list[tuple[int, int]]]: ...
    def known_places(self) -> dict[tuple[str, str], list[tuple[int, int]]]: ...
    def sums(self) -> list[SeriesSums]: ...
    def read(self, kind: str, name: str, places: list[tuple[int, int]]) -> SeriesTotals: ...
    def gauges(self, places: list[tuple[int, int]]) -> tuple[int, int, int]: ...
    def totals(self, slot: int | None = None) -> MeterTotals: ...
