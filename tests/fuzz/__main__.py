"""Fuzzes the wire for as long as one likes: ``python -m tests.fuzz [--seconds 60] [--seed 1] [KIND ...]``.

A finding prints the check that failed, the seed and the input; the input then becomes a case in tests/vectors. A read
outside the input ends the process at once: run the seed that came after the last one printed in a debugger.
"""

import argparse
import itertools
import sys
import time

from tests.fuzz.build import load
from tests.fuzz.corpora import KINDS, corpus

ROUND = 1_000_000


def main() -> None:
    """Runs rounds of a million inputs over all kinds in turn until the time is over."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFFFFFF, help="of the first round")
    options = parser.parse_args()
    fuzz = load("wire_fuzz")
    until = time.monotonic() + options.seconds
    corpora = {kind: corpus(kind) for kind in options.kinds or KINDS}
    for seed in itertools.count(options.seed):
        for kind, inputs in corpora.items():
            start = time.monotonic()
            failed, data, accepted, refusals = fuzz.run(kind, inputs, ROUND, seed)
            if failed:
                sys.exit(f"{kind}, seed {seed}: {failed}\n{data!r}")
            rate = ROUND / (time.monotonic() - start)
            sys.stdout.write(f"{kind:9} seed {seed}: {rate:12,.0f}/s, {accepted:,} taken, {len(refusals)} refusals\n")
            sys.stdout.flush()
        if time.monotonic() > until:
            return


if __name__ == "__main__":
    main()
