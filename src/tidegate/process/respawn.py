"""When a dead process is started again: at once, unless it keeps dying young."""

__all__ = ["Respawn"]

_YOUNG_S = 10.0
_SERVED_S = 0.5
_APART_S = 1.0
_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 5.0


class Respawn:
    """Arithmetic of one slot; the time comes from the caller.

    The first death is answered at once: a single crash should cost as little as possible. A process that dies younger
    than ten seconds again and again is started after 0.1 s, 0.2 s … 5 s, so that a crash loop does not eat the machine.
    One that had served for half a second by then is no crash loop, whoever killed it: waiting would only take a worker
    away from those who are served. Its starts stay a second apart all the same, for the request that kills each worker
    may come to the next one as well; and it is not forgiven what came before.
    """

    def __init__(self) -> None:
        self.restarts = 0
        self._young_deaths = 0

    def died(self, lived_s: float, served_s: float = 0.0) -> float:
        """Seconds to wait before the next start, after so long since the last one and since it was ready."""
        self.restarts += 1
        if served_s >= _SERVED_S and lived_s < _YOUNG_S:
            return max(0.0, _APART_S - lived_s)
        self._young_deaths = self._young_deaths + 1 if lived_s < _YOUNG_S else 0
        if self._young_deaths <= 1:
            return 0.0
        return min(_FIRST_DELAY_S * 2.0 ** min(self._young_deaths - 2, 30), _LONGEST_DELAY_S)
