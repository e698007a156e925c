"""``tidegate stop``."""

import os
import select
from typing import Annotated

import typer

from tidegate.cli.reach import PidOption, reach
from tidegate.process import runtime_directory
from tidegate.process.failure import StartError

__all__ = ["stop"]


def stop(
    now: Annotated[bool, typer.Option("--now", help="Cut what is being served instead of draining.")] = False,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for its end; 0: do not wait.", min=0.0)] = 60.0,
    pid: PidOption = None,
) -> None:
    """Stop the running gateway: it finishes what it serves, and takes nothing new."""
    gateway = reach(pid)
    process = os.pidfd_open(gateway.pid)
    try:
        gateway.post("/stop", {"at_once": now})
        if wait and not select.select([process], [], [], wait)[0]:
            raise StartError(
                f"the gateway with pid {gateway.pid} has not ended within {wait:g} s (--now ends it at once)"
            )
    finally:
        os.close(process)
    runtime_directory.find_running(runtime_directory.default())  # removes its socket, when it may not (server.user)
    print(f"tidegate: stopped (pid {gateway.pid})" if wait else f"tidegate: stopping (pid {gateway.pid})")
