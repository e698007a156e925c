"""Instructions of a process tree while something runs, by ``perf stat``: a cost that no speed state changes.

Taken in rounds of their own, because in a virtual machine every switch of a counted thread costs an exit.
"""

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass
class Instructions:
    """Instructions retired in user and kernel mode; zero until the count has ended."""

    user: int = 0
    kernel: int = 0


def parse(text: str) -> Instructions:
    """What ``perf stat -x,`` printed; raises ValueError when a counter was not counted."""
    found = {}
    for line in text.splitlines():
        cells = line.split(",")
        if len(cells) > 2 and cells[2].startswith("instructions"):
            if not cells[0].isdigit():
                raise ValueError(f"perf could not count {cells[2]}: {cells[0]}")
            found[cells[2].partition(":")[2]] = int(cells[0])
    if set(found) != {"u", "k"}:
        raise ValueError(f"this is not the output of perf stat: {text.strip() or '(nothing)'}")
    return Instructions(found["u"], found["k"])


def are_countable() -> bool:
    """Whether this machine lets ``perf`` count instructions."""
    if shutil.which("perf") is None:
        return False
    argv = ["perf", "stat", "-x,", "-e", "instructions:u,instructions:k", "true"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    with contextlib.suppress(ValueError):
        return parse(done.stderr).user > 0
    return False


@contextlib.contextmanager
def counted(pids: Sequence[int]) -> Iterator[Instructions]:
    """Counts for the processes ``pids`` while the block runs; the result is filled in at its end."""
    result = Instructions()
    argv = ["perf", "stat", "-x,", "-e", "instructions:u,instructions:k", "-p", ",".join(map(str, pids))]
    perf = subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True)
    try:
        yield result
    finally:
        perf.send_signal(signal.SIGINT)
        _, errors = perf.communicate(timeout=10)
    got = parse(errors)
    result.user, result.kernel = got.user, got.kernel
