"""Micro-benchmarks of single compiled functions: ``python -m benchmarks micro [NAME ...]``.

A file ``benchmarks/micro/MODULE.py`` has a mapping ``CASES`` from a case's name to a function ``run(n)`` that does the
work ``n`` times and returns nothing, or how many operations it really did (a C loop that counts by itself):

    CASES = {"parse a small head": lambda n: bench_parse(HEAD, n)}

A file that measures in its own way has ``main()`` instead, which prints.

The runner finds an ``n`` that takes 20 ms and takes the best of fifteen runs, because the machine's speed flips.
``NAME`` is a module, or ``MODULE:part of a case's name``.
"""

import importlib
import pkgutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks import table

Case = Callable[[int], int | None]

RUNS = 15
RUN_S = 0.02


def modules() -> list[str]:
    """All files of this folder."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__))


def timed(case: Case, n: int) -> tuple[float, int]:
    """Seconds and operations of one call."""
    start = time.perf_counter()
    said = case(n)
    return time.perf_counter() - start, n if said is None else said


def nanoseconds(case: Case, runs: int = RUNS, run_s: float = RUN_S) -> tuple[float, float]:
    """The best and the median time of one operation over ``runs`` runs of about ``run_s`` each."""
    n = 1
    seconds, _ = timed(case, n)
    while seconds < run_s:
        n = max(n * 2, int(n * run_s / seconds)) if seconds > 1e-4 else n * 10
        seconds, _ = timed(case, n)
    found = sorted(spent / operations * 1e9 for spent, operations in (timed(case, n) for _ in range(runs)))
    return found[0], found[len(found) // 2]


def run(module: str, parts: Sequence[str]) -> list[dict[str, str]]:
    """Rows for the cases of one file whose names contain one of ``parts`` (all, for none); a file's own ``main``."""
    found = importlib.import_module(f"{__name__}.{module}")
    if not hasattr(found, "CASES"):
        found.main()
        return []
    rows = []
    cases: Mapping[str, Case] = found.CASES
    for name, case in cases.items():
        if not parts or any(part in name for part in parts):
            best, median = nanoseconds(case)
            rows.append({"case": f"{module}: {name}", "ns/op": f"{best:,.1f}", "median": f"{median:,.1f}"})
    return rows


def main(argv: Sequence[str]) -> int:
    """Runs the cases asked for and prints nanoseconds an operation."""
    unknown = [w for w in argv if w.partition(":")[0] not in modules()]
    if unknown:
        print(f"no micro-benchmark {', '.join(unknown)}; there are {', '.join(modules()) or 'none'}", file=sys.stderr)
        return 2
    rows = []
    for module in modules():
        parts = [name.partition(":")[2] for name in argv if name.partition(":")[0] == module]
        if parts or not argv:
            rows += run(module, [part for part in parts if part])
    if rows:
        print(table.render(rows))
    return 0
