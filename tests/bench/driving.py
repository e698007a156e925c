"""A load in this process, against a server of the test's own."""

from tidegate.bench.load import Load
from tidegate.bench.loop import Loop
from tidegate.bench.order import Order, Server
from tidegate.bench.requests import Requests
from tidegate.bench.schedule import Schedule
from tidegate.upstream.peer import Peer

GET = b"GET / HTTP/1.1\r\nHost: server.test\r\n\r\n"
PATIENCE_S = 60.0  # only what hangs waits for so long


def peer_of(address, tls=None):
    if address.startswith("unix:"):
        return Peer(address)
    host, _, port = address.rpartition(":")
    return Peer(host, int(port), tls=tls)


def order_for(address, **changes):
    """What a process is told: ten minutes at 50 requests/s, unless something else is said."""
    host, _, port = address.rpartition(":")
    usual = {
        "server": Server(address=host, port=int(port), name="server.test"),
        "requests": [GET],
        "stretches": [(600.0, 50.0, 50.0)],
        "seconds": 600.0,
        "warm_up_s": 0.0,
        "clients": 2,
        "patience_s": PATIENCE_S,
    }
    return Order(**{**usual, **changes})


def evenly(rate, seconds):
    return Schedule([(seconds, rate, rate)])


class Drive:
    """One load from its opening to its end; what came of it is in ``tally``."""

    def __init__(self, address, texts=(GET,), schedule=None, *, clients=1, seconds=None, tls=None, **options):
        run = {name: options.pop(name) for name in ("warm_up_s", "start_ns") if name in options}
        self.loop = Loop()
        self.load = Load(
            self.loop,
            peer_of(address, tls),
            Requests(texts),
            schedule,
            clients=clients,
            patience_s=options.pop("patience_s", PATIENCE_S),
            **options,
        )
        try:
            self.load.open(PATIENCE_S)
            self.opened = (self.load.usable, self.load.broken)
            length_s = seconds if seconds is not None else schedule.seconds - run.get("warm_up_s", 0.0)
            self.seconds = self.load.run(length_s, **run)
            self.unfinished = self.load.unfinished
        finally:
            self.load.close()
            self.loop.close()
        self.tally = self.load.tally
        assert self.loop.faults == []
        assert self.loop.reactor.faults == 0
        assert self.loop.reactor.channels == 0

    @property
    def answers(self):
        """How many of each status."""
        return {one.status: one.latency.total for one in self.tally.outcomes}

    @property
    def errors(self):
        """How many of each kind."""
        return {kind: count for kind, (count, _) in self.tally.errors.items()}
