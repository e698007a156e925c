from collections.abc import Sequence

class Schedule:
    """When requests are due, in seconds from the beginning.

    stretches: (seconds, requests/s at the beginning, requests/s at the end), one after the other. is_poisson: arrivals
    of a Poisson process of that rate instead of even ones. part, parts: the share of one of several processes that send
    this schedule together. seed: of the Poisson process.
    """

    seconds: float
    requests: float
    is_poisson: bool
    def __init__(
        self,
        stretches: Sequence[tuple[float, float, float]],
        *,
        is_poisson: bool = False,
        part: int = 0,
        parts: int = 1,
        seed: int = 1,
    ) -> None: ...
    def take(self, most: int) -> list[float]: ...
    def rate_at(self, at_s: float) -> float: ...
    def due_by(self, at_s: float) -> float: ...
