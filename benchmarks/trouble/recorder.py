"""What the flight recorder costs of throughput: ``python -m benchmarks recorder-cost``.

Two gateways take turns under the same closed loop, in short rounds that alternate: one as it is, and one whose recorder
takes nothing. All processes of each are on one core, so that what control and supervisor do for the recorder is taken
from the worker's time. The ratio is the median over rounds of one by the other in the same rotation, because the
machine changes its speed between rotations by more than what is to be seen. Beside it stands what no speed hides: by
how much more of a core supervisor and control were busy, which do the recorder's work, over the whole time.
"""

import argparse
import math
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.contenders import Contender
from benchmarks.goals import at_least, at_most, exit_code
from benchmarks.ground import Session
from benchmarks.processes import CONTENDER_CORE, LOAD_CORE, cpu_ns
from benchmarks.rounds import Round, order
from benchmarks.scenarios.loads import by_own
from benchmarks.scenarios.throughput import Throughput
from tidegate.process.worker import COMM

SETTLE_S = 4.0  # what the start has left to do
WITH, WITHOUT = "tidegate", "tidegate-unrecorded"
SCENARIO = Throughput(
    name="recorder-cost",
    title="with and without the flight recorder, 128-byte responses, 64 connections",
    load=by_own("/small", 64),
    contenders=(WITHOUT, WITH),
    baseline=WITHOUT,
)


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks recorder-cost", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=60, help="of each (60)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a round (1)")
    options = parser.parse_args(argv)
    if CONTENDER_CORE == LOAD_CORE:
        sys.exit("two cores are needed, one for the gateway and one for the load and the upstream; there is one")
    os.sched_setaffinity(0, {LOAD_CORE})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rounds: list[Round] = []
    with Session() as session:
        names = session.start((WITHOUT, WITH))
        time.sleep(SETTLE_S)
        began_ns, before = time.monotonic_ns(), {name: helpers_ns(session.contenders[name]) for name in names}
        for rotation in range(options.rounds):
            rounds += [
                SCENARIO.play(session, session.contenders[name], rotation, options.seconds)
                for name in order(names, rotation)
            ]
        busy = {name: helpers_ns(session.contenders[name]) - before[name] for name in names}
        passed_ns = time.monotonic_ns() - began_ns
        print(SCENARIO.conclude(rounds, names, {}, session.absent))
    share = (busy[WITH] - busy[WITHOUT]) / passed_ns if len(busy) == 2 else None
    rate, cpu = paired(rounds, lambda one: one.rate), paired(rounds, lambda one: one.cpu_us)
    return exit_code(
        [
            at_least("requests/s with the recorder, of those without, in pairs,", rate.ratio, 0.99, str(rate)),
            at_most("CPU per request with it, of that without, in pairs,", cpu.ratio, 1.01, str(cpu)),
            at_most("share of a core that supervisor and control are busier with it,", share, 0.01),
        ]
    )


def helpers_ns(contender: Contender) -> int:
    """Nanoseconds that all but the worker have been on a core."""
    return cpu_ns(pid for pid in contender.refresh() if Path(f"/proc/{pid}/comm").read_text().strip() != COMM)


class Paired(NamedTuple):
    """The median of the ratios inside the rotations, and its standard error; None when there are fewer than two."""

    ratio: float | None
    error: float | None

    def __str__(self) -> str:
        return "too few rounds" if self.error is None else f"standard error {self.error:.2%}"


def paired(rounds: Sequence[Round], value: Callable[[Round], float]) -> Paired:
    """A value of the gateway with the recorder by that of the one without, from rotations in which both had a load."""
    found: dict[str, dict[int, float]] = {WITH: {}, WITHOUT: {}}
    for one in rounds:
        if one.is_valid:
            found[one.contender][one.rotation] = value(one)
    both = found[WITH].keys() & found[WITHOUT].keys()
    ratios = [found[WITH][rotation] / found[WITHOUT][rotation] for rotation in both]
    if len(ratios) < 2:
        return Paired(None, None)
    # Of the median of n values with a normal error: 1.25 of the mean's.
    return Paired(statistics.median(ratios), 1.2533 * statistics.stdev(ratios) / math.sqrt(len(ratios)))
