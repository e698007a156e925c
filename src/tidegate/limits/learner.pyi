from tidegate.config.adaptive import Adaptive as Settings
from tidegate.memory.adaptive import Adaptive

class Learner:
    shared: Adaptive
    first: int
    rows: int
    initial: int
    crowded: int
    def __init__(self, name: str, settings: Settings, shared: Adaptive, first: int, rows: int, now_ns: int) -> None: ...
    @property
    def reports_waiting(self) -> bool: ...
    def limit_of(self, fingerprint: int) -> int: ...
    def tick(self, now_ns: int) -> int: ...
    def teach(
        self,
        fingerprint: int,
        started_ns: int,
        latency_ns: int,
        in_flight: int,
        was_dropped: bool = False,
        waiting_ns: int = -1,
    ) -> None: ...
