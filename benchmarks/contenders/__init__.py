"""The programs under test, one file each; ``make`` gives a contender by the name used on the command line."""

from collections.abc import Callable

from benchmarks.contenders.caddy import Caddy
from benchmarks.contenders.contender import Contender, Ground, NotHereError
from benchmarks.contenders.direct import Direct
from benchmarks.contenders.envoy import Envoy
from benchmarks.contenders.nginx import Nginx
from benchmarks.contenders.relay import Relay
from benchmarks.contenders.tidegate import Tidegate

__all__ = ["KNOWN", "Contender", "Ground", "NotHereError", "make"]

KNOWN: dict[str, Callable[[str], Contender]] = {
    "nginx": Nginx,
    "nginx-again": Nginx,
    "envoy": Envoy,
    "caddy": Caddy,
    "tidegate": Tidegate,
    "tidegate-sync": lambda name: Tidegate(name, filter_class="benchmarks.filters:ReadOneSetTwo"),
    "tidegate-async": lambda name: Tidegate(name, filter_class="benchmarks.filters:ReadOneSetTwoAsync"),
    "tidegate-million": lambda name: Tidegate(name, filter_class="benchmarks.filters:MillionObjects"),
    "nginx-limited": lambda name: Nginx(name, limited=True),
    "tidegate-limited": lambda name: Tidegate(name, limited=True),
    "tidegate-json": lambda name: Tidegate(name, log_format="json"),
    "tidegate-unrecorded": lambda name: Tidegate(name, is_recorded=False),
    "tidegate-log-pipe": lambda name: Tidegate(name, log_to_pipe=True),
    "relay": Relay,
    "direct": Direct,
}


def make(name: str) -> Contender:
    """A contender by name; raises ValueError naming those that exist."""
    try:
        return KNOWN[name](name)
    except KeyError:
        raise ValueError(f"no contender {name!r}; there are {', '.join(KNOWN)}") from None
