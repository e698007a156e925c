"""Processes that meet at one table: are new keys charged exactly, and does a key admit what its rate says."""

import tempfile
from pathlib import Path

from benchmarks import table
from benchmarks.limits.compiled import RACE, ask, build

KEYS = 1_000_000
LIMIT_S = 600
ROOMY, FULL = 200_000, 64  # sets of eight cells
RATE, BURST, SECONDS, TOLERANCE = 1000, 1000, 3, 0.005  # it may be a second before one of them gets a core


def births() -> int:
    """Two processes meet a million new keys in lock-step, with room for all and in a table that is full."""
    rows, is_exact = [], True
    with tempfile.TemporaryDirectory() as folder:
        program = build(RACE, Path(folder))
        for sets, burst in ((ROOMY, 0), (ROOMY, 5), (FULL, 0), (FULL, 5)):
            said = ask(program, ["births", 2, burst, sets, KEYS, LIMIT_S])
            is_exact = is_exact and said["exact"] == said["keys"] == KEYS
            words = ("keys", "exact", "over", "under", "evictions")
            name = f"{'room for all' if sets == ROOMY else 'full table'}, burst {burst}"
            rows.append({"two processes, new keys": name, **{word: table.count(said[word]) for word in words}})
    print(table.render(rows))
    return 0 if is_exact else 1


def exactness() -> int:
    """Four processes charge one key as fast as they can for three seconds of the real clock."""
    with tempfile.TemporaryDirectory() as folder:
        said = ask(build(RACE, Path(folder)), ["hammer", 4, RATE, BURST, -SECONDS])
    ideal = BURST + 1 + RATE * SECONDS
    off = said["admitted"] / ideal - 1
    row = {"tries": said["tries"], "admitted": said["admitted"], "ideal": ideal}
    print(table.render([{"four processes, one key": f"{SECONDS} s"} | {w: table.count(n) for w, n in row.items()}]))
    print(f"off by {off:+.3%}")
    return 0 if abs(off) <= TOLERANCE else 1
