"""A restart under twice the load it can bear: what is shed, what is served, and whether health tells the truth.

The upstream serves so many at a time and takes 50 ms for each; the pool has as many connections and a queue for a
quarter of a second, and twice what that serves arrives at a constant rate from the first moment on. The load is there
before the gateway listens, and 503 is told from no answer, neither of which the compiled generator does.
"""

import argparse
import asyncio
import contextlib
import http.client
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks import table
from benchmarks.goals import Verdict, at_least, at_most, exit_code
from benchmarks.ports import free_port
from benchmarks.trouble.gateway import gateway, quantile
from benchmarks.trouble.requests import calm, come_first

DESCRIPTION = __doc__.partition("\n")[0]
SERVES_S = 0.05
AT_ONCE = 8  # both workers together
CAPACITY = AT_ONCE / SERVES_S
SECONDS = 20
SETTLED_S = 10  # from then on goodput counts
UPSTREAM = """
import asyncio, sys

async def serve(reader, writer):
    try:
        while True:
            await reader.readuntil(b"\\r\\n\\r\\n")
            async with turns:
                await asyncio.sleep(float(sys.argv[3]))
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    global turns
    turns = asyncio.Semaphore(int(sys.argv[2]))
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()

asyncio.run(main())
"""


class Told(NamedTuple):
    """One request: when it was sent, how long it took, what came."""

    at_s: float
    took_s: float
    status: int


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a goal is missed."""
    argparse.ArgumentParser(prog="python -m benchmarks restart-overload", description=DESCRIPTION).parse_args(argv)
    come_first()
    return asyncio.run(_measure())


async def _measure() -> int:
    port, public = free_port(), free_port()
    upstream = await asyncio.create_subprocess_exec(
        sys.executable, "-c", UPSTREAM, str(port), str(AT_ONCE), str(SERVES_S)
    )
    text = (
        f'[upstreams.slow]\nendpoints = ["127.0.0.1:{port}"]\n'
        f'pool = {{ max = {AT_ONCE // 2}, wait = {int(CAPACITY / 8)}, wait_timeout = "250ms" }}\n'
        '[[routes]]\nname = "all"\nupstream = "slow"\n'
    )
    told: list[Told] = []
    health: Counter[str] = Counter()
    try:
        rate = 2 * CAPACITY
        sending = asyncio.create_task(_arrive(public, rate, told))  # noqa: TID251 - awaited below
        await asyncio.sleep(1.0)  # the load is there before the gateway is
        with contextlib.ExitStack() as stack:
            # In a thread, as the load has to go on while the gateway starts.
            starts = gateway(text, server="workers = 2", before=calm(), public_port=public)
            running = await asyncio.to_thread(stack.enter_context, starts)
            began = time.perf_counter()
            end = began + SECONDS
            while time.perf_counter() < end:
                state, reasons, _ = await asyncio.to_thread(running.ready)
                health[f"{state} {', '.join(reasons)}"] += 1
                await asyncio.sleep(0.1)
            status = await asyncio.to_thread(running.status)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
    finally:
        upstream.kill()
        await upstream.wait()
    print(f"{rate:.0f} requests/s arrive, {CAPACITY:.0f}/s can be served; saturation {status['saturation_signals']}")
    seconds = by_second(told, began)
    print(table.render([one.row() for one in seconds]))
    print("health:", dict(health))
    return exit_code(verdicts(seconds, health))


@dataclass(frozen=True)
class Second:
    """What was answered in one second of the gateway's life, its first being 0."""

    number: int
    served_s: list[float]
    """How long those took that were answered by 200, ascending."""
    shed: int
    other: int

    @property
    def goodput(self) -> float:
        """Share of what the upstream can serve."""
        return len(self.served_s) / CAPACITY

    def row(self) -> dict[str, str]:
        """For the table."""
        return {
            "second": str(self.number),
            "200": str(len(self.served_s)),
            "503": str(self.shed),
            "else": str(self.other),
            "goodput": f"{self.goodput:.0%}",
            "p99 ms of 200": f"{quantile(self.served_s, 0.99) * 1e3:.0f}" if self.served_s else "",
        }


def by_second(told: Sequence[Told], began_s: float) -> list[Second]:
    """All seconds since ``began_s``, by when the answer came."""
    seconds = []
    for number in range(SECONDS):
        mine = [one for one in told if number <= one.at_s + one.took_s - began_s < number + 1]
        served = sorted(one.took_s for one in mine if one.status == http.client.OK)
        shed = sum(one.status == http.client.SERVICE_UNAVAILABLE for one in mine)
        seconds.append(Second(number, served, shed, len(mine) - len(served) - shed))
    return seconds


def verdicts(seconds: Sequence[Second], health: Counter[str]) -> list[Verdict]:
    """A start under too much load refuses from its first second on, serves what can be served, and is healthy."""
    red = sum(count for state, count in health.items() if not state.startswith(str(int(http.client.OK))))
    settled = seconds[SETTLED_S:]
    return [
        at_least("fewest refused by 503 in a second, the first included,", min(one.shed for one in seconds), 1),
        at_least("lowest goodput from the tenth second on,", min(one.goodput for one in settled), 0.9),
        at_most("neither served nor refused from the tenth second on,", sum(one.other for one in settled), 0),
        at_most("/health/ready not 200, once it was ready,", red, 0, f"of {health.total()}"),
    ]


async def _arrive(port: int, rate: float, told: list[Told]) -> None:
    """Requests at a constant rate, each on a connection of its own, whether the ones before were answered or not."""
    due = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        while True:
            now = time.perf_counter()
            while due <= now:
                group.create_task(_one(port, told))
                due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))


async def _one(port: int, told: list[Told]) -> None:
    began = time.perf_counter()
    status = 0
    with contextlib.suppress(OSError, TimeoutError, ValueError, IndexError):
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            status = int((await reader.readline()).split()[1])
            await reader.read()
            writer.close()
    told.append(Told(began, time.perf_counter() - began, status))
