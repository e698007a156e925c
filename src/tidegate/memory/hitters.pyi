from collections.abc import Iterable, Sequence
from typing import NamedTuple, final

from tidegate.memory.mapping import Mapping

WINDOWS_S: tuple[int, ...]
KEYS_MAX: int
TABLE_SIZE: int

class KeyFigures(NamedTuple):
    key: str
    requests: float
    refusals: float
    upstream_s: float
    bytes: float

@final
class Hitters:
    def __init__(self, mapping: Mapping, slot: int, seed: int = 0) -> None: ...
    def record(
        self,
        series: int,
        fingerprint: int,
        name: bytes,
        now_ns: int,
        *,
        requests: int = 1,
        refusals: int = 0,
        upstream_ns: int = 0,
        size: int = 0,
        times: int = 1,
    ) -> None: ...
    def spray(self, series: int, now_ns: int, times: int) -> None: ...

@final
class HitterReader:
    series_max: int
    def __init__(self, mapping: Mapping) -> None: ...
    def within(
        self, places: Sequence[tuple[int, int]], now_ns: int, window: int
    ) -> tuple[KeyFigures, list[KeyFigures]]: ...
    def grown(self, places: Sequence[tuple[int, int]]) -> tuple[KeyFigures, list[KeyFigures]]: ...

def leading(keys: Iterable[KeyFigures], count: int) -> list[KeyFigures]: ...
