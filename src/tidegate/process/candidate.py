"""A new program before it takes over: can it be imported, does it lay out memory alike, does it take the configuration?

Run by the program that may follow, for the supervisor of the one that serves; `Checked` is its answer. It changes
nothing and waits for nobody.
"""

import dataclasses
import importlib
import os
import sys

from tidegate import __version__
from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region
from tidegate.process.channel import Channel
from tidegate.process.failure import EXIT_FAILED, in_one_line
from tidegate.process.messages import (
    CandidateOrder,
    Checked,
    Failed,
    SupervisorMessage,
    memory_file,
    read_memory_file,
    read_order,
)

__all__ = ["main", "rebuild"]

_MODULES = (
    "tidegate.process.supervisor",
    "tidegate.process.worker",
    "tidegate.process.spare",
    "tidegate.process.control",
)


def rebuild(snapshot: Snapshot) -> Snapshot:
    """The active configuration as this program reads it: a new version knows more options, and may refuse old ones.

    Raises:
        ValueError: with all findings.
    """
    if not snapshot.source_text:
        return snapshot
    from tidegate.config.check import check_text
    from tidegate.config.findings import render

    origin = snapshot.origin
    found, findings = check_text(
        snapshot.source_text,
        file=origin.name or f"configuration {snapshot.number}",
        directory=origin.directory or ".",
        is_yaml=origin.is_yaml,
        number=snapshot.number,
    )
    if found is None:
        raise ValueError(f"the active configuration is not valid for it: {render(findings)}")
    return dataclasses.replace(found, origin=origin)


def check(order: CandidateOrder) -> Checked:
    """The answer; raises whatever is wrong."""
    Region.attach(order.region_fd)
    for name in (*_MODULES, order.service.partition(":")[0], order.application.partition(":")[0]):
        if name:
            importlib.import_module(name)
    snapshot = rebuild(Snapshot.decode(read_memory_file(order.snapshot_fd)))
    return Checked(version=__version__, fd=memory_file(f"snapshot-{snapshot.number}", snapshot.encode()))


def main() -> int:
    """Looks, by the order in the descriptor named by the first argument, and answers."""
    order = read_order(int(sys.argv[1]), CandidateOrder)
    sys.path[:] = order.python_path
    for fd in (order.region_fd, order.snapshot_fd):
        os.set_inheritable(fd, False)
    channel: Channel[SupervisorMessage] = Channel.inherited(order.channel_fd, SupervisorMessage)
    try:
        channel.send(check(order))
    except Exception as error:  # noqa: BLE001 - whatever it is, the operator reads it in one line
        channel.send(Failed(reason=in_one_line(error)))
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
