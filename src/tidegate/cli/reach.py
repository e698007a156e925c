"""Which running gateway a command is for."""

from typing import Annotated

import typer

from tidegate.admin.client import ControlClient
from tidegate.process import runtime_directory
from tidegate.process.failure import StartError

__all__ = ["PidOption", "reach"]

PidOption = Annotated[
    int | None, typer.Option("--pid", help="Process id of the gateway, when several run on this machine.", min=1)
]


def reach(pid: int | None, *, timeout_s: float = 10.0) -> ControlClient:
    """The gateway with that pid, or the only one that runs. StartError when it cannot be told which is meant."""
    directory = runtime_directory.default()
    running = runtime_directory.find_running(directory)
    if pid is not None:
        if pid not in running:
            raise StartError(f"no gateway with pid {pid} runs here (looked in {directory})")
        return ControlClient(runtime_directory.socket_path(directory, pid), pid, timeout_s)
    match running:
        case []:
            raise StartError(f"no gateway runs here (looked in {directory}; TIDEGATE_RUNTIME_DIR says where)")
        case [only]:
            return ControlClient(runtime_directory.socket_path(directory, only), only, timeout_s)
        case _:
            raise StartError(f"several gateways run here: choose one with --pid {', '.join(map(str, running))}")
