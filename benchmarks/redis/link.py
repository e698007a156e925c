"""GET of small values against one server, side by side: 64 callers, and one alone.

One core has the client, the other the server. The contenders take turns, a third of a second each; of each the best
third of its rounds counts, because the speed of the machine flips. Beside the rates stands the processor time of the
client a call, which a machine that others use disturbs less. redis-benchmark asks without pipelining. ``trial`` is a
protocol of thirty lines on the same loop, without bounds, deadlines, lanes or meters; ``raw`` the same for one caller,
without even a queue.
"""

import argparse
import asyncio
import contextlib
import os
import re
import resource
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import hiredis
import uvloop

from benchmarks import goals, table
from benchmarks.processes import CONTENDER_CORE
from benchmarks.redis.server import valkey
from benchmarks.rounds import best_third
from tidegate.config.values import Address
from tidegate.redis.lane import LaneSettings
from tidegate.redis.node import LANES, NodeSettings
from tidegate.redis.single import SingleLink

CALLERS = 64
PATIENCE_S = 60  # on a machine that stalls nobody gives up
KEY, VALUE = "bench:key", b"v" * 32

Get = Callable[[], Awaitable[Any]]


@dataclass
class Contender:
    """One way to ask; ``rates`` are calls a second of each round, ``costs`` microseconds of processor time a call."""

    name: str
    callers: int
    get: Get | None  # None: a program of its own
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Of its best third."""
        return best_third(self.rates).value

    @property
    def cost_us(self) -> float:
        """Of its best third."""
        return best_third(self.costs, highest=False).value


class Trial(asyncio.Protocol):
    """Implicit pipelining and nothing else."""

    def __init__(self) -> None:
        self.reader = hiredis.Reader()
        self.waiting: deque[asyncio.Future[Any]] = deque()
        self.out: list[bytes] = []
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        while (reply := self.reader.gets()) is not False:
            self.waiting.popleft().set_result(reply)

    def call(self, *args: Any) -> asyncio.Future[Any]:
        """Queues a command for the end of the turn."""
        future = self.loop.create_future()
        self.waiting.append(future)
        self.out.append(hiredis.pack_command(args))
        if len(self.out) == 1:
            self.loop.call_soon(self.flush)
        return future

    def flush(self) -> None:
        """Writes what the turn has brought."""
        data, self.out = b"".join(self.out), []
        self.transport.write(data)


class Raw(asyncio.Protocol):
    """One question, one answer."""

    def __init__(self) -> None:
        self.reader = hiredis.Reader()
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        if (reply := self.reader.gets()) is not False:
            self.future.set_result(reply)

    def call(self, *args: Any) -> asyncio.Future[Any]:
        """Asks at once."""
        self.future = self.loop.create_future()
        self.transport.write(hiredis.pack_command(args))
        return self.future


async def others(port: int, ending: contextlib.AsyncExitStack) -> list[Contender]:
    """redis-py and valkey-glide, where they are installed (`pip install --group bench`)."""
    found = []
    try:
        import redis.asyncio

        client = redis.asyncio.Redis(port=port, max_connections=CALLERS)
        ending.push_async_callback(client.aclose)
        found.append(Contender("redis-py asyncio", CALLERS, lambda: client.get(KEY)))
    except ImportError:
        pass
    try:
        from glide import GlideClient, GlideClientConfiguration, NodeAddress

        nodes = [NodeAddress("127.0.0.1", port)]
        glide = await GlideClient.create(GlideClientConfiguration(nodes, request_timeout=PATIENCE_S * 1000))
        ending.push_async_callback(glide.close)
        found.append(Contender("valkey-glide", CALLERS, lambda: glide.get(KEY)))
    except ImportError:
        pass
    return found


async def round_of(one: Contender, seconds: float) -> None:
    """Lets one contender ask for a while."""
    get = one.get
    assert get is not None
    until = time.perf_counter() + seconds
    counts = [0] * one.callers

    async def caller(number: int) -> None:
        # At least once: on a busy machine a short round may be over before the first caller comes to run.
        while counts[number] == 0 or time.perf_counter() < until:
            for _ in range(20):
                await get()
            counts[number] += 20

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller(number) for number in range(one.callers)))
    took, spent = time.perf_counter() - began, time.process_time() - cpu
    one.rates.append(sum(counts) / took)
    one.costs.append(spent / sum(counts) * 1e6)


def round_of_program(one: Contender, program: str, port: int, seconds: float) -> None:
    """The same for the benchmark that comes with the server, without pipelining."""
    asked = str(int(200_000 * seconds))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run(
        [program, "-p", str(port), "-c", str(CALLERS), "-n", asked, "-t", "get", "-d", "32", "-q"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    rates = re.findall(r"GET: ([\d.]+) requests per second", said)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    one.rates.append(float(rates[-1]))
    one.costs.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / int(asked) * 1e6)


async def measure(port: int, rounds: int, seconds: float, program: str | None) -> dict[str, Contender]:
    """All contenders in turn, in rotating order."""
    async with contextlib.AsyncExitStack() as ending:
        contenders = await make(port, program, ending)
        for number in range(rounds):
            for one in contenders[number % len(contenders) :] + contenders[: number % len(contenders)]:
                if one.get is not None:
                    await round_of(one, seconds)
                else:
                    await asyncio.to_thread(round_of_program, one, program or "", port, seconds)
    return {one.name: one for one in contenders}


async def make(port: int, program: str | None, ending: contextlib.AsyncExitStack) -> list[Contender]:
    """Everybody who asks, connected; ``ending`` closes them."""
    loop = asyncio.get_running_loop()
    _, trial = await loop.create_connection(Trial, "127.0.0.1", port)
    _, raw = await loop.create_connection(Raw, "127.0.0.1", port)
    lane = LaneSettings(timeout_s=PATIENCE_S, wait_timeout_s=PATIENCE_S)
    settings = NodeSettings(lanes=dict.fromkeys(LANES, lane))
    link = SingleLink("bench", Address(host="127.0.0.1", port=port), settings, print)
    await link.data.set(KEY, VALUE)
    for close in (link.close, trial.transport.close, raw.transport.close):
        ending.callback(close)
    contenders = [
        Contender("tidegate", CALLERS, lambda: link.data.get(KEY)),
        Contender("trial", CALLERS, lambda: trial.call("GET", KEY)),
        *await others(port, ending),
        Contender("tidegate, one caller", 1, lambda: link.data.get(KEY)),
        Contender("raw, one caller", 1, lambda: raw.call("GET", KEY)),
    ]
    if program is not None:
        contenders.append(Contender(os.path.basename(program), CALLERS, None))  # noqa: PTH119 - a name, not a path
    return contenders


def verdicts(found: dict[str, Contender]) -> list[goals.Verdict]:
    """What was asked of the link, and what it reached."""
    own = found["tidegate"]

    def times(name: str, bound: float) -> goals.Verdict:
        if name not in found:
            return goals.at_least(f"calls/s by those of {name}", None, bound, "not installed")
        other = found[name]
        note = f"by processor time a call: {other.cost_us / own.cost_us:.1f}"
        return goals.at_least(f"calls/s by those of {name}", own.rate / other.rate, bound, note)

    program = next((name for name in found if name.endswith("-benchmark")), "redis-benchmark")
    alone, raw = found["tidegate, one caller"], found["raw, one caller"]
    spent = f"of processor time: {alone.cost_us - raw.cost_us:.1f}"
    return [
        times("redis-py asyncio", 8),
        times("valkey-glide", 4),
        times(program, 1.5),
        goals.at_most(
            "one caller: microseconds a call over the raw protocol", 1e6 / alone.rate - 1e6 / raw.rate, 4, spent
        ),
    ]


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a goal was missed or could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks redis-link", description=__doc__)
    parser.add_argument("--rounds", type=int, default=12, help="rounds of each contender (12)")
    parser.add_argument("--seconds", type=float, default=0.3, help="length of a round (0.3)")
    options = parser.parse_args(argv)
    os.sched_setaffinity(0, {CONTENDER_CORE})
    program = shutil.which("valkey-benchmark") or shutil.which("redis-benchmark")
    with valkey() as (port, _), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(measure(port, options.rounds, options.seconds, program))
    own = found["tidegate"].rate
    print(
        table.render(
            [
                {
                    "GET of 32 bytes": one.name,
                    "callers": str(one.callers),
                    "calls/s": table.count(one.rate),
                    "us of processor": f"{one.cost_us:.2f}",
                    "tidegate by it": table.ratio(own / one.rate) if one.callers == CALLERS else "-",
                }
                for one in found.values()
            ]
        )
    )
    return goals.exit_code(verdicts(found))
