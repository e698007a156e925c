"""A line of so many bytes a second between processes of one machine.

Where a network namespace may be made, the line is the kernel's: loopback in a namespace of our own, behind a token
bucket (``tc``, ``tbf``) that all connections and both ways share, with the short queue of a switch. It costs next to
nothing at 1 Gbit/s. Elsewhere it is the relay in Python, which uses most of a core for that rate, and is itself late
when it does not get one.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence

from benchmarks.apart import run_apart
from tidegate.testing.relay import Relay

__all__ = ["kind", "narrow", "run_on_a_line"]

APART = "TIDEGATE_NARROW_LINE"
BURST_BYTES = 128 << 10  # two packets of loopback: what is shaped is the line and not the packet
QUEUE_S = 0.05  # what a switch may have waiting; beyond it packets are lost
BUCKET = "tc qdisc {verb} dev lo root tbf rate {bits}bit burst {burst} latency {queue}us"


def bucket(verb: str, bytes_per_s: float) -> str:
    """The command that puts loopback behind a line of this rate."""
    return BUCKET.format(verb=verb, bits=round(8 * bytes_per_s), burst=BURST_BYTES, queue=round(QUEUE_S * 1e6))


def run_on_a_line(name: str, argv: Sequence[str]) -> int | None:
    """Runs a benchmark where loopback is its own; None when it is already, or when that is not possible."""
    if APART in os.environ:
        return None
    prepare = f"ip link set lo up && {bucket('add', 1e9)} && tc qdisc del dev lo root"
    return run_apart(name, argv, spaces=["--net"], prepare=prepare, marker=APART)


def kind() -> str:
    """Which of the two the line is."""
    return "the kernel's token bucket" if APART in os.environ else "a relay in Python: no namespace may be made here"


@contextlib.contextmanager
def narrow(target: str, bytes_per_s: float) -> Iterator[str]:
    """The address at which the server at ``target`` is found behind the line, for as long as the block."""
    if APART not in os.environ:
        with Relay(target) as relay:
            relay.bytes_per_s = bytes_per_s
            yield relay.address
        return
    subprocess.run(bucket("add", bytes_per_s).split(), check=True)
    try:
        yield target
    finally:
        subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"], check=True)
