"""What a rate decision costs: in C beside a bare compare-and-swap, from Python, and in other libraries' memory.

With one key, a thousand, and ten million that are all live, at 20 bytes each. The C figures are the best of short
rounds; from Python the runner's best of fifteen. ``limits`` and ``throttled-py`` are measured when they are installed
(the dependency group ``bench``).
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import micro, table
from benchmarks.limits.compiled import DECISION, ask, build
from tidegate.limits.rate import RateLimit
from tidegate.memory.fingerprints import Fingerprints
from tidegate.memory.rates import RateTable
from tidegate.memory.region import Region
from tidegate.memory.tables import bytes_for, sets_for

KEYS = (1, 1000, 10_000_000)
SETS_MIN = 1024
MOST = 10**9  # a second, so that nothing is refused
COLUMNS = ("cas", "charge", "refuse", "hash", "clock", "whole")


def in_c() -> None:
    """One row for each number of live keys."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        program = build(DECISION, Path(folder))
        for keys in KEYS:
            said = ask(program, [max(sets_for(keys), SETS_MIN), keys])
            row = {column: f"{said[column]:.1f}" for column in COLUMNS}
            ratio = {"charge/cas": table.ratio(said["charge"] / said["cas"])}
            rows.append(
                {"ns in C, live keys": table.count(keys)} | row | ratio | {"evicted": f"{said['evicted']:.4f} %"}
            )
    print(table.render(rows))


def own() -> Iterator[tuple[str, Callable[[int], None]]]:
    """Ours from Python: with time and fingerprint given, and with both computed."""
    region = Region.create(1, 1, 1, rates=bytes_for(SETS_MIN))
    limit = RateLimit(RateTable(region.mapping, 0, SETS_MIN), MOST, 10**9, MOST)
    prints, clock = Fingerprints(region.secret, "micro"), time.monotonic_ns
    known, now = prints.of_key(b"192.168.200.100"), clock()

    def given(n: int) -> None:
        for _ in range(n):
            limit.charge(known, now)

    def computed(n: int) -> None:
        for _ in range(n):
            limit.charge_key(prints, b"192.168.200.100", clock())

    yield "tidegate, time and fingerprint given", given
    yield "tidegate, both computed", computed


def libraries() -> Iterator[tuple[str, Callable[[int], None]]]:
    """Other libraries with their counts in this process's memory."""
    try:
        import limits
        import throttled
    except ImportError as error:
        print(f"not compared with others: {error} (pip install --group bench)")
        return
    window = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())
    item = limits.RateLimitItemPerSecond(MOST)
    quota = throttled.rate_limiter.per_sec(MOST, burst=MOST)
    gcra = throttled.Throttled(key="k", using="gcra", quota=quota, store=throttled.store.MemoryStore())

    def hits(n: int) -> None:
        for _ in range(n):
            window.hit(item, "192.168.200.100")

    def throttles(n: int) -> None:
        for _ in range(n):
            gcra.limit("192.168.200.100")

    yield "limits, fixed window in memory", hits
    yield "throttled-py, GCRA in memory", throttles


def main() -> None:
    """Prints both tables."""
    in_c()
    rows, first = [], 0.0
    for name, case in (*own(), *libraries()):
        best, median = micro.nanoseconds(case)
        first = first or best
        rows.append(
            {"ns from Python": name, "best": f"{best:,.0f}", "median": f"{median:,.0f}", "x": f"{best / first:.1f}"}
        )
    print()
    print(table.render(rows))
