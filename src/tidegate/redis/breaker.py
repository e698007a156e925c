"""The breaker of one Redis server: whether it is worth asking at all.

Every kind of failure feeds it: a connection that cannot be made, a wrong password, a server that is silent, one that
says it serves nobody. Whatever is heard from the server closes it. Each change of state is one line in the log, however
many callers have noticed.

It is arithmetic: the time is an argument, and who asks acts on the answer.
"""

from collections.abc import Callable

from tidegate.errors import GatewayError

__all__ = ["FAILURES", "Breaker"]

FAILURES = 3
"""Silences in a row, with nothing heard in between, that open it. One late reply is no outage."""


class Breaker:
    """Closed: callers go through. Open: they are refused at once, with what opened it.

    Args:
        name: Of the link, for the log.
        say: ``say(kind, message, level=…, **fields)``, as the error log has it.
    """

    __slots__ = ("_name", "_opened_s", "_say", "error", "failures", "opened", "refused")

    def __init__(self, name: str, say: Callable[..., None]) -> None:
        self._name = name
        self._say = say
        self._opened_s = 0.0
        self.error: GatewayError | None = None  # what opened it
        self.failures = 0  # in a row
        self.opened = 0  # times
        self.refused = 0  # callers, since it opened last

    @property
    def is_open(self) -> bool:
        """Whether callers are refused."""
        return self.error is not None

    def failed(self, error: GatewayError, now_s: float, *, at_once: bool = False) -> bool:
        """Counts a failure; True when the breaker opened by it.

        ``at_once``: one is enough, as when nobody is connected and nobody can be.
        """
        self.failures += 1
        if self.error is not None or not (at_once or self.failures >= FAILURES):
            return False
        self.error = error
        self._opened_s = now_s
        self.opened += 1
        self.refused = 0
        self._say("redis_unavailable", f"redis {self._name}: {error.detail}", redis=self._name, failure=str(error.kind))
        return True

    def heard(self, now_s: float) -> bool:
        """The server has answered; True when the breaker closed by it."""
        self.failures = 0
        if self.error is None:
            return False
        self.error = None
        self._say(
            "redis_available",
            f"redis {self._name}: answers again after {now_s - self._opened_s:.1f} s, {self.refused} commands refused",
            level="info",
            redis=self._name,
            refused=self.refused,
        )
        return True

    def refusal(self) -> GatewayError:
        """A new exception for one caller who is refused; RuntimeError when the breaker is closed."""
        error = self.error
        if error is None:
            raise RuntimeError("the breaker is closed: nobody is to be refused")
        self.refused += 1
        return GatewayError(error.kind, error.detail, source=error.source, retry=error.retry, status=503)

    def __repr__(self) -> str:
        return f"<Breaker {self._name} {'open' if self.is_open else 'closed'}, {self.failures} failures in a row>"
