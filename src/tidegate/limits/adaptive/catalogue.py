"""The algorithms by the name that a configuration gives them."""

from __future__ import annotations

from typing import Any, Final

from tidegate.limits.adaptive.aimd import Aimd
from tidegate.limits.adaptive.algorithm import Algorithm
from tidegate.limits.adaptive.bbr import Bbr
from tidegate.limits.adaptive.envoy import Envoy
from tidegate.limits.adaptive.gradient import Gradient
from tidegate.limits.adaptive.gradient2 import Gradient2
from tidegate.limits.adaptive.pid import Pid
from tidegate.limits.adaptive.queue_delay import QueueDelay
from tidegate.limits.adaptive.vegas import Vegas

__all__ = ["ALGORITHMS", "DEFAULT", "make"]

ALGORITHMS: Final[dict[str, type[Algorithm]]] = {
    algorithm.name: algorithm for algorithm in (QueueDelay, Gradient, Gradient2, Vegas, Aimd, Envoy, Bbr, Pid)
}
DEFAULT: Final = QueueDelay.name


def make(name: str = DEFAULT, **options: Any) -> Algorithm:
    """An algorithm of that name, with its own options.

    Raises:
        ValueError: There is none of that name.
    """
    try:
        algorithm = ALGORITHMS[name]
    except KeyError:
        raise ValueError(f"no algorithm is called {name!r}; there are {', '.join(ALGORITHMS)}") from None
    return algorithm(**options)
