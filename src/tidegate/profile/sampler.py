"""Where the threads of running processes are, again and again, by py-spy: Python and compiled code, without a restart.

py-spy (https://github.com/benfred/py-spy) reads the memory of another process from outside, and stops it for a fraction
of a millisecond each time so that what it reads is whole. One is started for each process, in a group of its own; it
ends by itself after its time, so that nothing stays behind whatever becomes of us, and at SIGINT it writes what it has.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.process.failure import StartError
from tidegate.process.native_stack import program
from tidegate.profile.ctrl_c import CtrlC
from tidegate.profile.stacks import Stacks, parse_folded

__all__ = ["RATE", "Sampled", "sample"]

RATE = 25
"""Samples a second: with native frames a worker stands still for less than 3 % of the time (`docs/profile.md`)."""

_BEGINNING_S = 60.0  # to read symbols, on a machine that has little time for it
_ENDING_S = 20.0  # to write
_LOOK_S = 0.02
_AFTER_S = 5  # beyond its time, which it counts from when it begins to sample


@dataclass(frozen=True, slots=True)
class Sampled:
    """What was seen of each process, by its pid; ``notes`` are what is to be known about it."""

    stacks: Mapping[int, Stacks]
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Spy:
    pid: int
    process: subprocess.Popen[bytes]
    output: Path
    said: Path

    def seen(self) -> Stacks:
        return parse_folded(self.output.read_text(errors="replace") if self.output.exists() else "")

    def reason(self) -> str:
        lines = [line for line in self.said.read_text(errors="replace").splitlines() if line.strip()]
        return f"pid {self.pid}: {lines[-1].strip() if lines else 'py-spy has seen nothing'}"


def sample(
    pids: Sequence[int],
    seconds: float,
    *,
    rate: int = RATE,
    find: Callable[[], str | None] = program,
    begun: Callable[[], None] = lambda: None,
) -> Sampled:
    """Samples all of them at the same time; Ctrl-C ends it early with what there is.

    Args:
        pids: Whose threads.
        seconds: For how long.
        rate: Samples a second.
        find: Where py-spy is; None: nowhere.
        begun: Called when Ctrl-C ends it early from now on.

    Raises:
        StartError: py-spy is not there, or may not look.
    """
    found = find()
    if found is None:
        raise StartError(
            "needs py-spy, which is not installed here: pip install py-spy into the gateway's environment, "
            "or anywhere in the path"
        )
    options = ["--format", "raw", "--threads", "--rate", str(rate)]
    with tempfile.TemporaryDirectory(prefix="tidegate-profile-") as folder, CtrlC() as ctrl_c:
        begun()
        spies = _run([found, "record", *options, "--native"], pids, seconds, Path(folder), ctrl_c)
        is_native = ctrl_c.is_pressed or not all(one.process.returncode for one in spies)
        if not is_native:
            spies = _run([found, "record", *options], pids, seconds, Path(folder), ctrl_c)
        if ctrl_c.is_pressed and all(one.process.returncode for one in spies):
            raise StartError("ended by Ctrl-C before anything was seen")
        if all(one.process.returncode for one in spies):
            raise StartError(_refusal([one.reason() for one in spies]))
        notes = [one.reason() for one in spies if one.process.returncode]
        if not is_native:
            notes.append("without native frames: py-spy cannot unwind compiled code here")
        if ctrl_c.is_pressed:
            notes.append("ended early, by Ctrl-C")
        return Sampled({one.pid: one.seen() for one in spies}, tuple(notes))


def _run(argv: list[str], pids: Sequence[int], seconds: float, folder: Path, ctrl_c: CtrlC) -> list[_Spy]:
    """One for each process, from their start to their end."""
    # Its own time is an upper bound, for the case that nobody is left to end it.
    argv = [*argv, "--duration", str(math.ceil(seconds) + _AFTER_S)]
    spies: list[_Spy] = []
    try:
        for pid in pids:
            spies.append(_start(argv, pid, folder))  # noqa: PERF401 - each is to be ended whatever becomes of the next
        _wait(lambda: any(map(_begins, spies)), _BEGINNING_S, ctrl_c)
        _wait(lambda: any(map(_runs, spies)), seconds, ctrl_c)
    finally:
        _end(spies)
    return spies


def _start(argv: list[str], pid: int, folder: Path) -> _Spy:
    output, said = folder / f"{pid}.folded", folder / f"{pid}.said"
    with said.open("wb") as errors:
        process = subprocess.Popen(
            [*argv, "--pid", str(pid), "--output", str(output)],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            process_group=0,
        )
    return _Spy(pid, process, output, said)


def _wait(goes_on: Callable[[], bool], seconds: float, ctrl_c: CtrlC) -> None:
    end_s = time.monotonic() + seconds
    while goes_on() and time.monotonic() < end_s and not ctrl_c.is_pressed:
        time.sleep(_LOOK_S)


def _runs(spy: _Spy) -> bool:
    return spy.process.poll() is None


def _begins(spy: _Spy) -> bool:
    """Whether it reads symbols still: it takes no SIGINT then, but would die of it with nothing seen."""
    try:
        status = Path(f"/proc/{spy.process.pid}/status").read_text()
    except OSError:
        return False
    caught = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:")), 0)
    return _runs(spy) and not caught >> (signal.SIGINT - 1) & 1


def _end(spies: list[_Spy]) -> None:
    """They write what they have and end; one that does not is killed, and whom it had stopped goes on."""
    for one in spies:
        one.process.send_signal(signal.SIGINT)
    end_s = time.monotonic() + _ENDING_S
    try:
        for one in spies:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.process.wait(max(0.01, end_s - time.monotonic()))
    finally:
        for one in spies:
            if _runs(one):
                one.process.kill()
            if one.process.wait() < 0:
                with contextlib.suppress(OSError):
                    os.kill(one.pid, signal.SIGCONT)


def _refusal(reasons: Sequence[str]) -> str:
    told = "; ".join(reasons)
    if "permission" in told.lower() or "not permitted" in told:
        told += " (it has to be root, have CAP_SYS_PTRACE, or be the same user with kernel.yama.ptrace_scope = 0)"
    return f"py-spy could not look: {told}"
