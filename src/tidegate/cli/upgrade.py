"""``tidegate upgrade``."""

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.admin.client import ControlClient
from tidegate.cli.reach import PidOption, reach
from tidegate.process.failure import StartError
from tidegate.process.program import Program

__all__ = ["upgrade"]

_LOOK_S = 0.1
_SILENCE_S = 15.0  # while control is replaced nobody answers for a moment


def upgrade(
    python: Annotated[
        Path | None,
        typer.Option("--python", help="Interpreter of the new program; by default the one that runs this command."),
    ] = None,
    python_path: Annotated[
        str | None,
        typer.Option("--python-path", help="PYTHONPATH of the new program; by default that of this command."),
    ] = None,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for it.", min=1.0)] = 120.0,
    pid: PidOption = None,
) -> None:
    """Let the installed program take over from the running one: same pid, same sockets, no request lost."""
    gateway = reach(pid)
    program = _program(python, python_path)
    before = gateway.get("/status")["generation"]
    attempt = uuid.uuid4().hex
    body = {
        "attempt": attempt,
        "python": program.python,
        "python_path": program.python_path,
        "environment_path": program.environment_path,
    }
    if not gateway.post("/upgrade", body)["accepted"]:
        raise StartError("the supervisor does not hear; try again")
    ended = _wait(gateway, attempt, wait)
    if ended["phase"] == "failed":
        raise StartError(f"not upgraded: {ended['reason']} (generation {before} goes on as it was)")
    print(f"tidegate: generation {ended['generation']} serves, version {ended['version']} (pid {gateway.pid})")
    if ended["reason"]:
        print(f"tidegate: its supervisor is still the old program's: {ended['reason']}", file=sys.stderr)


def _program(python: Path | None, environment_path: str | None) -> Program:
    """The new program: this one's interpreter and path, or what another interpreter says of itself."""
    if environment_path is None:
        environment_path = os.environ.get("PYTHONPATH")
    else:
        environment_path = os.pathsep.join(os.path.abspath(one) for one in environment_path.split(os.pathsep))  # noqa: PTH100
    if python is None and environment_path == os.environ.get("PYTHONPATH"):
        here = [os.path.abspath(place) for place in sys.path]  # noqa: PTH100 - keeps links; "" is this directory
        return Program(sys.executable, here, environment_path)
    program = Program(str(python.absolute() if python else sys.executable), [], environment_path)
    code = "import json, sys; print(json.dumps([sys.executable, sys.path]))"
    try:
        asked = subprocess.run(
            [program.python, "-P", "-c", code], capture_output=True, check=True, timeout=30, env=program.environment()
        )
        executable, path = json.loads(asked.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise StartError(f"{program.python} is no interpreter that runs: {error}") from error
    return Program(executable, path, environment_path)


def _wait(gateway: ControlClient, attempt: str, patience_s: float) -> dict[str, Any]:
    end_s = time.monotonic() + patience_s
    answered_s = time.monotonic()
    while True:
        try:
            upgrades = gateway.get("/status")["upgrades"]
            answered_s = time.monotonic()
        except StartError:
            if time.monotonic() - answered_s > _SILENCE_S:
                raise
            upgrades = []
        for one in upgrades:
            if one["attempt"] == attempt and one["phase"] in ("done", "failed"):
                ended: dict[str, Any] = one
                return ended
        if time.monotonic() > end_s:
            raise StartError(f"no end of it within {patience_s:g} s; `tidegate status` tells how far it is")
        time.sleep(_LOOK_S)
