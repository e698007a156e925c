from collections.abc import Callable
from typing import Any

from tidegate.exchange.witness import Witness
from tidegate.memory.meters import Meters
from tidegate.net.reactor import Reactor

def http_date(unix_s: int) -> bytes: ...

class Context:
    reactor: Reactor
    witness: Witness
    def __init__(
        self, reactor: Reactor, meters: Meters, error_log: Any, switch_plan: Callable[[], None], witness: Witness
    ) -> None: ...
