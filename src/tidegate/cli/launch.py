"""Gives way to the supervisor: same process, fresh interpreter.

What read the configuration (pydantic, a TOML parser, this command line) is not carried along by a process that should
be tiny and runs for months.
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import msgspec

from tidegate.config.snapshot import Snapshot
from tidegate.process import runtime_directory
from tidegate.process.messages import Companion, SupervisorOrder, memory_file

__all__ = ["launch"]


def launch(snapshot: Snapshot, companions: Sequence[Companion] = (), greeting: Sequence[str] = ()) -> NoReturn:
    """Becomes the supervisor of a gateway.

    Args:
        snapshot: the configuration it begins with.
        companions: programs that live and die with it, and their descriptors.
        greeting: lines to print when it is ready.
    """
    snapshot_fd = memory_file(f"snapshot-{snapshot.number}", snapshot.encode())
    order = SupervisorOrder(
        snapshot_fd=snapshot_fd,
        runtime_dir=str(runtime_directory.default()),
        python_path=[os.path.abspath(place) for place in sys.path],  # noqa: PTH100 - keeps links; "" is this directory
        companions=list(companions),
        greeting=list(greeting),
    )
    order_fd = memory_file("supervisor-order", msgspec.json.encode(order))
    for fd in (snapshot_fd, order_fd, *(fd for companion in companions for fd in companion.fds)):
        os.set_inheritable(fd, True)
    sys.stdout.flush()
    sys.stderr.flush()
    argv = [sys.executable, "-P", "-m", "tidegate.process.supervisor", str(order_fd)]
    os.execv(sys.executable, argv)  # noqa: S606 - our own interpreter, by its path
