from collections.abc import Callable

from tidegate.bench.client import Crew
from tidegate.bench.loop import Loop
from tidegate.bench.requests import Requests
from tidegate.bench.schedule import Schedule
from tidegate.bench.tally import Tally
from tidegate.upstream.peer import Peer

class Load(Crew):
    """One process's share of a load.

    loop: what it runs on. peer: the server. requests: what is sent. schedule: when; None: each client sends when it has
    its answer. clients: connections, each with one exchange at a time. patience_s: from when a request is due until it
    counts as failed. is_fresh: each exchange has a connection of its own. websocket: target and fields of the request
    that opens one. tally: what is counted into. is_to_stop: asked every 100 ms.
    """

    busy: int
    usable: int
    broken: int
    trouble: tuple[str, str] | None
    start_ns: int
    stopped_ns: int
    tally: Tally
    def __init__(
        self,
        loop: Loop,
        peer: Peer,
        requests: Requests,
        schedule: Schedule | None,
        *,
        clients: int,
        patience_s: float,
        is_fresh: bool = False,
        websocket: tuple[bytes, bytes] | None = None,
        tally: Tally | None = None,
        is_to_stop: Callable[[], bool] | None = None,
    ) -> None: ...
    def open(self, timeout_s: float) -> None: ...
    def run(self, seconds: float, *, warm_up_s: float = 0.0, start_ns: int = 0) -> float: ...
    def close(self) -> None: ...
    @property
    def unfinished(self) -> int: ...
