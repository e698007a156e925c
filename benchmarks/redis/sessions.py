"""Sessions on the data plane: ``python -m benchmarks sessions``.

A gateway with one worker on a core of its own; load, upstream and Redis share the other. Routes take turns under a
closed load of 64 connections, and of each the best third of its rounds counts: by a key of the configuration
(``[auth.NAME]``); by a session that is remembered (100 of them); by one that has to be looked up and is extended
(200,000 of them, too many to be asked for again before they are forgotten). Beside the rates stands the processor
time of the worker a request.

Then Redis is slowed by a relay, and 32 clients with unknown sessions ask all the time, of this gateway and of one whose
filter asks Redis on the loop. How long does another route of the same worker take meanwhile? And Redis is stopped: does
anybody wait longer than a look-up may take?
"""

import argparse
import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import uvloop

from benchmarks import goals, processes, table
from benchmarks.load import own, programs
from benchmarks.meter import Meter
from benchmarks.redis.server import valkey
from benchmarks.rounds import best_third
from benchmarks.trouble.asker import Asker
from benchmarks.trouble.behind import servers
from benchmarks.trouble.gateway import Running, gateway, quantile
from benchmarks.trouble.requests import calm, come_first
from tidegate.config.values import Address
from tidegate.redis.node import NodeSettings
from tidegate.redis.single import SingleLink
from tidegate.testing.relay import Relay

WARM, COLD = 100, 200_000
CAP_S = 0.25
SLOW_S = 0.005
CLIENTS = 32
KEY = "3f6c1a5e0b7d4c2e9a8b7c6d5e4f3a2b"
SESSION = b'{"user": "ann", "org": "acme", "plan": "gold", "roles": ["a", "b"]}'

FILTER = """
class = "tidegate.filters.session_auth:SessionAuth"
redis = "main"
cache = "sessions"
header = "X-API-Key"
scheme = "off"
ttl = "4h"
renew_below = "4h"
headers = {{ X-User = "user", X-Plan = "plan" }}
tenant = "org"
"""
CONFIGURATION = """
[redis.main]
url = "redis://127.0.0.1:{redis}/0"
timeout = "30s"
[cache.sessions]
memory = "64MiB"
negative_ttl = "1ms"
[upstreams.small]
endpoints = ["127.0.0.1:{small}"]
[auth.partners]
kind = "key"
keys = [{{ key = "sha256:{digest}", subject = "acme" }}]
[filters.warm]
{filter}
remember = "1h"
timeout = "30s"
[filters.cold]
{filter}
remember = "1ms"
renew_interval = "0s"
timeout = "30s"
[filters.capped]
{filter}
remember = "1ms"
timeout = "{cap}s"
[filters.naive]
class = "benchmarks.filters:AsksRedisOnTheLoop"
port = {redis}
[filters.turns]
class = "benchmarks.filters:TurnsOfTheLoop"
[[routes]]
name = "key"
path = "/key"
rewrite = {{ path = "/small" }}
auth = "partners"
upstream = "small"
[[routes]]
name = "warm"
path = "/warm"
rewrite = {{ path = "/small" }}
filters = ["warm"]
upstream = "small"
[[routes]]
name = "cold"
path = "/cold"
rewrite = {{ path = "/small" }}
filters = ["cold"]
upstream = "small"
[[routes]]
name = "capped"
path = "/capped"
filters = ["capped"]
upstream = "small"
[[routes]]
name = "naive"
path = "/naive"
rewrite = {{ path = "/small" }}
filters = ["naive"]
upstream = "small"
[[routes]]
name = "turns"
path = "/turns"
filters = ["turns"]
respond = {{}}
[[routes]]
name = "open"
path = "/open"
respond = {{}}
"""


class Shown(NamedTuple):
    """A route under load: requests/s and microseconds of the worker a request, of its rounds."""

    rates: list[float]
    costs: list[float]

    @property
    def rate(self) -> float:
        """Of its best third."""
        return best_third(self.rates).value

    @property
    def cost_us(self) -> float:
        """Of its best third."""
        return best_third(self.costs, highest=False).value


LOADS = {
    "key of the configuration": ("/key", ["--key", KEY]),
    "session, remembered": ("/warm", ["--key", "w", "--keys", str(WARM)]),
    "session, looked up and extended": ("/cold", ["--key", "c", "--keys", str(COLD)]),
}


def configured(redis: int, small: int) -> str:
    """The configuration."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    return CONFIGURATION.format(redis=redis, small=small, digest=digest, filter=FILTER.format(), cap=CAP_S)


async def fill(port: int, names: Iterable[str]) -> None:
    """Puts a session under each token."""
    link = SingleLink("bench", Address(host="127.0.0.1", port=port), NodeSettings(), print)
    for some in batched(names, 1000):
        await asyncio.gather(*(link.data.set(f"session:{name}", SESSION, ttl_s=14_400) for name in some))
    link.close()


def batched(names: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """As itertools.batched of Python 3.12."""
    iterator = iter(names)
    while some := tuple(itertools.islice(iterator, size)):
        yield some


class Looked(NamedTuple):
    """While sessions were looked up, in milliseconds: what another route took, and turns of the worker's loop."""

    waits_ms: list[float]
    turns_ms: list[float]


def under_load(running: Running, program: Path, rounds: int, seconds: float) -> tuple[dict[str, Shown], Looked]:
    """All loads in turn."""
    found = {name: Shown([], []) for name in LOADS}
    looked = Looked([], [])
    for number in range(rounds + 1):
        for name, (path, key) in LOADS.items():
            meter = Meter(running.workers())
            running.ask("/turns", public=True)
            arguments = ["--port", str(running.public[1]), "--path", path, *key]
            with Asker(other_route(running), 0.01) as other:
                report = own.run(program, arguments, seconds, meter)
            if report.errors:
                raise RuntimeError(f"{path}: {report.errors} answers of another kind, {report.complaint}")
            if number == 0:
                continue  # the first time nothing is remembered
            found[name].rates.append(report.requests / report.seconds)
            found[name].costs.append(meter.contender_ns / 1e3 / report.requests)
            if path == "/cold":
                looked.waits_ms.extend(other.took_ms)
                looked.turns_ms.extend(json.loads(running.ask("/turns", public=True)[1]))
    return found, looked


def other_route(running: Running) -> Callable[[], None]:
    """Asks a route of the same worker that needs nobody, on a kept connection."""
    return asks(running, "/open", "", {200})


def asks(running: Running, path: str, token: str, statuses: set[int]) -> Callable[[], None]:
    """A question on a connection of its own, with another token each time where one is given."""
    client = socket.create_connection(running.public, timeout=30)
    numbers = itertools.count()

    def question() -> None:
        key = f"X-API-Key: {token}{next(numbers):08d}\r\n" if token else ""
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n{key}\r\n".encode())
        answer = client.recv(4096)
        if int(answer[9:12]) not in statuses:
            raise ConnectionError(answer[:100])

    return question


def while_slow(running: Running, path: str, seconds: float) -> tuple[float, float]:
    """Clients with sessions that are not known ask all the time: requests/s, and p99 of the other route in ms."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Asker(asks(running, path, f"{n:x}s", {200, 401}), 0.0)) for n in range(CLIENTS)]
        other = stack.enter_context(Asker(other_route(running), 0.01))
        time.sleep(seconds)
    if failed := sum(one.failed for one in (*clients, other)):
        raise RuntimeError(f"{path}: {failed} questions failed")
    return sum(len(one.took_ms) for one in clients) / seconds, quantile(other.took_ms, 0.99)


def while_stopped(running: Running, server: int, seconds: float) -> tuple[float, float]:
    """Redis stands still in the middle: the longest that a request waited, and p99 of the other route, in ms."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Asker(asks(running, "/capped", f"{n:x}p", {401, 503}), 0.0)) for n in range(4)]
        other = stack.enter_context(Asker(other_route(running), 0.01))
        time.sleep(seconds / 3)
        os.kill(server, signal.SIGSTOP)
        stack.callback(os.kill, server, signal.SIGCONT)
        time.sleep(seconds)
    if failed := sum(one.failed for one in (*clients, other)):
        raise RuntimeError(f"{failed} questions failed")
    return max(max(one.took_ms) for one in clients), quantile(other.took_ms, 0.99)


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks sessions", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each load (9)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a round (1)")
    options = parser.parse_args(argv)
    come_first()
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as ports, valkey() as (redis, server):
        program = programs.build("closed", Path(name))
        tokens = itertools.chain((f"w{n:08d}" for n in range(WARM)), (f"c{n:08d}" for n in range(COLD)))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(fill(redis, tokens))
        with started(configured(redis, ports["small"])) as running:
            found, looked = under_load(running, program, options.rounds, options.seconds)
            longest_ms, stopped_ms = while_stopped(running, server, 3 * options.seconds)
        with Relay(f"127.0.0.1:{redis}") as relay:
            relay.delay_s = SLOW_S
            slowed = configured(int(relay.address.rpartition(":")[2]), ports["small"])
            with started(slowed) as running:
                slow = {path: while_slow(running, path, 3 * options.seconds) for path in ("/cold", "/naive")}
    show(found, looked, slow)
    key, warm, cold = found.values()
    return goals.exit_code(
        [
            goals.at_least("remembered: requests/s by those of a key", warm.rate / key.rate, 0.75, by_cost(warm, key)),
            goals.at_least(
                "looked up: requests/s by those remembered", cold.rate / warm.rate, 1 / 3, by_cost(cold, warm)
            ),
            goals.at_most(
                "turns of the loop while sessions are looked up, p99 ms,", quantile(looked.turns_ms, 0.99), 5
            ),
            goals.at_most("another route p99 while sessions are looked up, ms,", quantile(looked.waits_ms, 0.99), 5.0),
            goals.at_most(
                "Redis stopped: longest wait of a request over its cap, ms,", longest_ms - CAP_S * 1e3, 100.0
            ),
            goals.at_most("Redis stopped: another route p99, ms,", stopped_ms, 5.0),
            goals.at_most("Redis slow: another route p99, ms,", slow["/cold"][1], 5.0),
        ]
    )


def started(text: str) -> contextlib.AbstractContextManager[Running]:
    """A gateway with one worker, on the core of the contender."""

    @contextlib.contextmanager
    def pinned() -> Iterator[Running]:
        with gateway(text, server='workers = 1\nfilter_packages = ["benchmarks"]', before=calm()) as running:
            processes.pin(processes.tree(running.process.pid), processes.CONTENDER_CORE)
            yield running

    return pinned()


def by_cost(one: Shown, other: Shown) -> str:
    """The same by the processor time of the worker."""
    return f"by the worker's processor time {other.cost_us / one.cost_us:.2f}"


def show(found: dict[str, Shown], looked: Looked, slow: dict[str, tuple[float, float]]) -> None:
    """Prints the tables."""
    rows = [
        {"64 connections": name, "requests/s": table.count(one.rate), "us of the worker": f"{one.cost_us:.1f}"}
        for name, one in found.items()
    ]
    print(table.render(rows))
    waits, turns = ([quantile(one, share) for share in (0.5, 0.99)] for one in looked)
    print(f"another route while sessions were looked up: p50 {waits[0]:.2f} ms, p99 {waits[1]:.2f} ms")
    print(
        f"turns of the loop meanwhile: p50 {turns[0]:.2f} ms, p99 {turns[1]:.2f} ms, {max(looked.turns_ms):.2f} at most"
    )
    names = {"/cold": "session_auth", "/naive": "a client that blocks, on the loop"}
    rows = [
        {
            f"Redis {SLOW_S * 2e3:.0f} ms away, {CLIENTS} clients": names[path],
            "requests/s": table.count(rate),
            "another route p99, ms": f"{p99:.1f}",
        }
        for path, (rate, p99) in slow.items()
    ]
    print(table.render(rows))
