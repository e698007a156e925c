"""A million clients leave at random, and workers are killed with permits in hand: ``python -m benchmarks ghosts``.

Whatever was taken for a request has to end with it. Clients ask and leave at any moment in any way, from every kind of
limit that holds something: permits, places in queues, turns. Then nothing may be left in shared memory. And a worker
that holds 200 permits is killed: shown is how soon they are free again.
"""

import argparse
import contextlib
import os
import random
import selectors
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from benchmarks import table
from benchmarks.goals import at_least, at_most, exit_code
from benchmarks.trouble.gateway import Running, gateway, quantile
from benchmarks.trouble.victims import region_of
from tidegate.memory.bells import ROWS
from tidegate.memory.inflight import PermitTable
from tidegate.memory.region import Region, read_meters

LIMITS = """
[classes]
names = ["live", "batch"]
default = "live"
header = "X-Class"
[limits.few]
concurrency = 4
queue = 8
queue_timeout = "50ms"
shares = { live = 0.5, batch = 0.5 }
[limits.keyed]
concurrency = 1
queue = 4
queue_timeout = "50ms"
key = "header:X-User"
keys = 1000
[limits.conn]
concurrency = 2
burst = 10
unit_delay = "5ms"
[limits.turn]
rate = "2000/s"
burst = 100
excess = "delay"
[limits.each]
concurrency = 3
queue = 8
queue_timeout = "50ms"
key = "endpoint"
keys = 64
[limits.soon]
rate = "2000/s"
burst = 50
excess = "delay"
key = "endpoint"
keys = 64
"""
PATHS = ("/few", "/keyed", "/conn", "/turn", "/each", "/soon", "/all")


def routes(upstream: str) -> str:
    """A route by each limit, and one by all of them, to a server at that address."""
    parts = [f'[upstreams.u]\nendpoints = ["{upstream}"]\nread_timeout = "500ms"\n']
    for path in PATHS:
        names = [name.removeprefix("/") for name in PATHS[:-1]] if path == "/all" else [path.removeprefix("/")]
        listed = ", ".join(f'"{name}"' for name in names)
        parts.append(f'[[routes]]\nname = "{path[1:]}"\npath = "{path}"\nupstream = "u"\nlimits = [{listed}]\n')
    return "\n".join(parts)


CANCELLATIONS = 1_000_000
AT_ONCE = 64
SEED = 31
PERMITS, KILLS = 200, 10
HEAL_GOAL_S = 1.0
PATIENCE_S = 60.0
MILLION = 1_000_000


class Ghosts(NamedTuple):
    """What is left when everybody has gone."""

    exchanges: int
    rows: int  # of permits and of places in queues, that count somebody
    bells: int


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks ghosts", description=__doc__.partition("\n")[0])
    parser.add_argument("--cancellations", type=int, default=CANCELLATIONS, help="clients that leave (1,000,000)")
    parser.add_argument("--kills", type=int, default=KILLS, help="workers that are killed with 200 permits (10)")
    options = parser.parse_args(argv)
    with Server() as server, gateway(LIMITS + routes(server.address), server="workers = 2") as running:
        region = region_of(running)
        asked_s = leave_at_random(running, options.cancellations)
        left = wait_for_nothing(region)
        ended = read_meters(region).counters
        region.close()
    healed = list(killed_with_permits(options.kills))
    keys_s = heal_of_keys(MILLION)
    rows = [
        {
            "clients that left": table.count(options.cancellations),
            "per second": table.count(round(options.cancellations / asked_s)),
            "of them in the middle": table.count(ended["client_aborts"]),
            "exchanges left": str(left.exchanges),
            "rows that count somebody": str(left.rows),
            "bells marked": str(left.bells),
        }
    ]
    print(table.render(rows))
    print(f"{PERMITS} permits of a killed worker were free after, s: " + " ".join(f"{one:.3f}" for one in healed))
    print(f"half of them within {quantile(healed, 0.5):.3f} s; a million keys of a dead worker in {keys_s:.3f} s")
    return exit_code(
        [
            at_most("exchanges, permits, places and bells that are left", sum(left), 0),
            at_least("clients that left in the middle", ended["client_aborts"], options.cancellations / 100),
            at_most("longest until the permits of a killed worker are free, s,", max(healed), HEAL_GOAL_S),
            at_most("until a million keys of a dead worker are free, s,", keys_s, HEAL_GOAL_S),
        ]
    )


# -- clients that leave ------------------------------------------------------------------------------------------------


class Server(threading.Thread):
    """Answers some requests at once and some never, on connections that it closes then; one thread for all."""

    def __init__(self) -> None:
        super().__init__(name="server", daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listening.setblocking(False)
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._chance = random.Random(SEED)
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
        self._listening.close()

    def run(self) -> None:
        """Until the block is left."""
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._listening, selectors.EVENT_READ)
            while not self._ended.is_set():
                for key, _ in waiting.select(0.1):
                    if key.fileobj is self._listening:
                        with contextlib.suppress(OSError):
                            sock, _ = self._listening.accept()
                            sock.setblocking(False)
                            waiting.register(sock, selectors.EVENT_READ)
                    elif isinstance(key.fileobj, socket.socket):
                        self._answer(waiting, key.fileobj)
            for key in list(waiting.get_map().values()):
                if isinstance(key.fileobj, socket.socket):
                    key.fileobj.close()

    def _answer(self, waiting: selectors.BaseSelector, sock: socket.socket) -> None:
        try:
            if sock.recv(4096):
                if self._chance.random() < 0.9:
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                return  # or it is silent, until the gateway gives up
        except OSError:
            pass
        waiting.unregister(sock)
        sock.close()


def leave_at_random(running: Running, count: int) -> float:
    """So many clients ask and leave, some at once and some later; the seconds that it took."""
    chance = random.Random(SEED)
    began_s = time.monotonic()
    there: list[socket.socket] = []
    for _ in range(count):
        sock = socket.create_connection(running.public)
        path, user = chance.choice(PATHS), chance.randrange(50)
        name = chance.choice(("live", "batch"))
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nX-User: {user}\r\nX-Class: {name}\r\n\r\n".encode())
        there.append(sock)
        while len(there) > chance.randrange(AT_ONCE):
            leave(there.pop(chance.randrange(len(there))), chance)
    for sock in there:
        leave(sock, chance)
    return time.monotonic() - began_s


def leave(sock: socket.socket, chance: random.Random) -> None:
    """A reset, a close, or the end of the sending half before it."""
    how = chance.randrange(3)
    if how == 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif how == 1:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
    sock.close()


def left_in(region: Region) -> Ghosts:
    """What is counted now."""
    bells = region.bells()
    return Ghosts(
        read_meters(region).counters["exchanges_open"],
        region.inflight().rows_that_count(),
        sum(len(bells.waiting(row)) for row in range(ROWS)),
    )


def wait_for_nothing(region: Region) -> Ghosts:
    """What is left, at last."""
    end_s = time.monotonic() + PATIENCE_S
    while sum(left := left_in(region)) and time.monotonic() < end_s:
        time.sleep(0.05)
    return left


# -- workers that are killed -------------------------------------------------------------------------------------------


def killed_with_permits(times: int) -> Iterator[float]:
    """Seconds from the signal until the permits of a killed worker are free, so many times."""
    limit = f"[limits.held]\nconcurrency = {PERMITS}\n"
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        text = (
            f'{limit}[upstreams.u]\nendpoints = ["127.0.0.1:{listening.getsockname()[1]}"]\n'
            'limits = ["held"]\n[[routes]]\nname = "held"\nupstream = "u"\n'
        )
        with gateway(text, server="workers = 1") as running:
            region = region_of(running)
            for _ in range(times):
                with contextlib.ExitStack() as opened:
                    for _ in range(PERMITS):
                        client = opened.enter_context(socket.create_connection(running.public))
                        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                        opened.enter_context(listening.accept()[0])
                    (pid,) = running.workers()
                    began_s = time.monotonic()
                    os.kill(pid, signal.SIGKILL)
                    while region.inflight().rows_that_count():
                        if time.monotonic() - began_s > PATIENCE_S:
                            break
                        time.sleep(0.001)
                    yield time.monotonic() - began_s
                    wait_for_a_worker(running)
            region.close()


def wait_for_a_worker(running: Running) -> None:
    """Until somebody answers again."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        with contextlib.suppress(OSError):
            if running.ready()[0] == 200:
                return
        time.sleep(0.01)
    raise RuntimeError("no worker serves in the place of the killed one")


def heal_of_keys(count: int) -> float:
    """Seconds until a dead worker's permits of so many keys are free."""
    region = Region.create(2, 1, 1, inflight_blocks=1 << 18)
    holder = PermitTable(region.inflight(0), 0, 1 << 18)
    chance = random.Random(SEED)
    for _ in range(count):
        holder.take(chance.getrandbits(64), 1)
    began_s = time.monotonic()
    region.slot(0).give_back()
    took_s = time.monotonic() - began_s
    if region.inflight().rows_in_use():
        raise RuntimeError("rows are left")
    region.close()
    return took_s
