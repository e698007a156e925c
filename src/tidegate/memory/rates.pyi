from typing import final

from tidegate.memory.mapping import Mapping

NEVER: int

@final
class RateTable:
    evictions: int
    contended: int
    def __init__(self, mapping: Mapping, offset: int, sets: int) -> None: ...
    def charge(self, fingerprint: int, now_ns: int, emission_ns: int, tolerance_ns: int) -> int: ...
    def peek(self, fingerprint: int, now_ns: int, emission_ns: int, tolerance_ns: int) -> int: ...
    def refund(self, fingerprint: int, now_ns: int, emission_ns: int) -> bool: ...
