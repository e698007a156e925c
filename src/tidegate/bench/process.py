"""A process of a load: reads its order, connects its clients, waits for the word, drives, says what came of it.

Its argument and what it says and hears are described in ``order``. Ctrl-C is for who started it: a terminal sends the
signal to the whole group, and each process would end by itself and say nothing.
"""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import sys
import time

import msgspec

from tidegate.bench.load import Load
from tidegate.bench.loop import Loop, fine_timers
from tidegate.bench.measured import SecondCounts, counts_of, measured_of
from tidegate.bench.order import Ended, Failed, Order, Ready, Said, SecondOver
from tidegate.bench.requests import Requests
from tidegate.bench.schedule import Schedule
from tidegate.bench.tally import Second, Tally
from tidegate.process.failure import EXIT_FAILED, in_one_line
from tidegate.process.messages import read_memory_file
from tidegate.upstream.peer import Peer
from tidegate.upstream.tls import TlsSettings

__all__ = ["main"]

_STDIN, _STDOUT = 0, 1


def say(what: Said) -> None:
    """One line; a parent that is gone is no reason to fail, the end of the input says it too."""
    line = msgspec.json.encode(what) + b"\n"
    try:
        while line:
            line = line[os.write(_STDOUT, line) :]
    except BrokenPipeError:
        pass


def peer_of(order: Order) -> Peer:
    """Whom it asks."""
    server = order.server
    tls = TlsSettings(name=server.name, verify=server.is_verified, ca=server.ca) if server.is_tls else None
    return Peer(server.name or server.address, server.port, server.address, tls=tls)


class Word:
    """What comes on the standard input."""

    def __init__(self) -> None:
        self._heard = b""
        self._is_over = False

    def is_to_stop(self) -> bool:
        """Whether it is to end; looks, and does not wait."""
        while not self._is_over and select.select([_STDIN], [], [], 0)[0]:
            self._hear()
        return self._is_over or b"stop" in self._heard

    def start_ns(self) -> int | None:
        """The moment to begin at, when it is said; None: it is not to begin at all."""
        while b"\n" not in self._heard and not self._is_over:
            self._hear()
        word, _, moment = self._heard.partition(b"\n")[0].partition(b" ")
        return int(moment) if word == b"go" else None

    def _hear(self) -> None:
        heard = os.read(_STDIN, 4096)
        self._heard += heard
        self._is_over = not heard


def drive(order: Order) -> None:
    """The whole life of a load."""
    word = Word()
    by_second: list[SecondCounts] = []

    def tell(second: Second) -> None:
        by_second.append(counts_of(second))
        say(SecondOver(by_second[-1]))

    schedule = None
    if order.stretches is not None:
        schedule = Schedule(
            order.stretches, is_poisson=order.is_poisson, part=order.part, parts=order.parts, seed=order.seed
        )
    loop = Loop()
    load = Load(
        loop,
        peer_of(order),
        Requests(order.requests, first=order.part * len(order.requests) // order.parts),
        schedule,
        clients=order.clients,
        patience_s=order.patience_s,
        is_fresh=order.is_fresh,
        websocket=order.websocket,
        tally=Tally(on_second=tell),
        is_to_stop=word.is_to_stop,
    )
    load.open(order.patience_s)
    # A pass of the collector would delay what is due, and nothing here makes circles.
    gc.collect()
    gc.freeze()
    gc.disable()
    say(Ready(load.usable, load.trouble))
    start_ns = word.start_ns()
    if start_ns is None:
        load.close()
        return
    before_s = time.process_time()
    seconds = load.run(order.seconds, warm_up_s=order.warm_up_s, start_ns=start_ns)
    cpu_s = time.process_time() - before_s
    measured = measured_of(
        load, by_second, seconds=seconds, connections=order.clients, cpu_s=cpu_s, is_open_loop=schedule is not None
    )
    load.close()
    loop.close()
    say(Ended(measured))


def _take_descriptors() -> None:
    """As many as this process may have: a connection is one, and the usual limit is 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> int:
    """Drives the load of the order whose descriptor is the first argument; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fine_timers()
    _take_descriptors()
    try:
        drive(msgspec.msgpack.decode(read_memory_file(int(sys.argv[1])), type=Order))
    except Exception as error:  # noqa: BLE001 - whoever started it has to hear why it ends
        say(Failed(in_one_line(error)))
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
