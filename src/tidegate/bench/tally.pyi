from collections.abc import Callable

from tidegate.bench.histogram import Histogram

class Second:
    at: int
    due: int
    sent: int
    failed: int
    latency: Histogram
    @property
    def answers(self) -> dict[str, int]: ...

class Outcome:
    status: int
    latency: Histogram
    service: Histogram

class Tally:
    """Counts of one process. ``on_second`` is called with each second that is over; without it they are kept."""

    late: Histogram
    connect: Histogram
    due: int
    sent: int
    in_time: int
    waited: int
    unsent: int
    lost: int
    seconds: list[Second]
    def __init__(self, on_second: Callable[[Second], object] | None = None) -> None: ...
    def add_answer(self, status: int, latency_ns: int, service_ns: int) -> None: ...
    def add_failure(self, kind: str, detail: str) -> None: ...
    def begin_second(self, at: int) -> None: ...
    @property
    def outcomes(self) -> list[Outcome]: ...
    @property
    def errors(self) -> dict[str, tuple[int, str]]: ...
