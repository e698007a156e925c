"""Checks a configuration in a process of its own: pydantic's memory, and the filters' modules, are gone when it ends.

The process that serves or supervises thereby stays small and is never held up, and a module that hangs or dies while it
is imported takes nobody with it. An order goes in and an answer comes back through memory files; so does the snapshot,
which goes on to the workers without being looked at.

The child computes for half a second on a machine that serves. So it begins under SCHED_IDLE, which gives a processor
back the moment that anybody else wants it (with a higher nice value it would keep what is left of its slice, some
milliseconds). Where it waits longer than it runs, the processors are full, and it would take minutes: then it is begun
anew as one among all, for that policy cannot be left without a privilege.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from tidegate.config.findings import Finding
from tidegate.config.snapshot import Origin, Snapshot, plain

__all__ = ["TIMEOUT_S", "Active", "CheckOrder", "Checked", "answer", "check_apart"]

TIMEOUT_S = 60.0
_LOOK_S = 0.25


class Active(msgspec.Struct, frozen=True, kw_only=True):
    """What is active now: the new one is compared with it. ``snapshot`` is without its routes.

    ``shown`` is its text as it may be shown, if that is known already; then ``text`` may be missing.
    """

    snapshot: Snapshot
    text: str
    shown: str = ""
    workers_since_s: float = 0.0  # since 1970: when the oldest worker began


class CheckOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be checked.

    Without ``text`` there is nothing to check: the active configuration is to be shown.
    """

    text: str | None
    name: str  # what findings call it
    directory: str
    is_yaml: bool = False
    number: int = 1
    origin: Origin = Origin()
    active: Active | None = None
    is_from_api: bool = False
    mask_key: bytes = b""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. ``verdict`` says of a valid one whether it differs from what is active, and in what."""

    findings: list[Finding]
    verdict: Literal["invalid", "new", "files", "same"] = "invalid"
    snapshot: Snapshot | None = None  # without its routes; ``source_text`` is there
    shown: str = ""
    difference: str = ""
    newer_code: list[str] = []


Examine = Callable[[CheckOrder], tuple[Snapshot | None, Checked]]


async def check_apart(order: CheckOrder, snapshot_fd: int = -1, *, timeout_s: float = TIMEOUT_S) -> Checked:
    """Checks in a child process; what a module prints goes to standard error.

    Args:
        order: what to check.
        snapshot_fd: where the encoded snapshot is written if the configuration is valid; -1: nowhere.
        timeout_s: after which the child is killed, and that is the finding.
    """
    order_fd, answer_fd = os.memfd_create("check-order"), os.memfd_create("check-answer")
    try:
        _write(order_fd, msgspec.msgpack.encode(order, enc_hook=plain))
        fds = (order_fd, answer_fd, snapshot_fd)
        try:
            async with asyncio.timeout(timeout_s):
                code = await _run(fds, stands_back=True)
                if code is None:
                    code = await _run(fds, stands_back=False)
        except TimeoutError:
            message = f"could not be checked within {timeout_s:g} s; does a filter's module wait for something?"
            return Checked(findings=[Finding(file=order.name, message=message)])
        content = _read(answer_fd)
        if code != 0 or not content:
            message = f"could not be checked: the checker ended with {code}"
            return Checked(findings=[Finding(file=order.name, message=message)])
        return msgspec.msgpack.decode(content, type=Checked)
    except OSError as error:
        message = f"could not be checked: {error.strerror or error}"
        return Checked(findings=[Finding(file=order.name, message=message)])
    finally:
        os.close(order_fd)
        os.close(answer_fd)


async def _run(fds: Sequence[int], *, stands_back: bool) -> int | None:
    """The exit code of a child; None when it stood back for others and hardly came to run."""
    argv = [sys.executable, "-P", "-m", "tidegate.config.examine", *map(str, fds)]
    child = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=2,
        pass_fds=[fd for fd in fds if fd >= 0],
        env=_environment(),
    )
    try:
        if stands_back:
            with contextlib.suppress(OSError):  # it has ended already, or a sandbox forbids it
                os.sched_setscheduler(child.pid, os.SCHED_IDLE, os.sched_param(0))
            while not _starves(_schedstat(child.pid)):
                with contextlib.suppress(TimeoutError):
                    return await asyncio.wait_for(child.wait(), _LOOK_S)
            return None
        return await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def _schedstat(pid: int) -> str:
    """Nanoseconds that it ran and waited for a processor; "" when it has ended, or this kernel does not count."""
    try:
        return Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii")
    except OSError:
        return ""


def _starves(schedstat: str) -> bool:
    """Whether a process waited for a processor longer than it had one, and longer than a look."""
    fields = schedstat.split()
    return len(fields) == 3 and int(fields[1]) > max(int(fields[0]), _LOOK_S * 1e9)


def _environment() -> dict[str, str]:
    """Modules are found where this process finds them."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in sys.path if place)}


def _write(fd: int, content: bytes) -> None:
    os.ftruncate(fd, len(content))
    at = 0
    while at < len(content):
        at += os.pwrite(fd, content[at : at + (1 << 20)], at)


def _read(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    content = bytearray()
    while len(content) < size:
        content += os.pread(fd, size - len(content), len(content))
    return bytes(content)


def answer(order_fd: int, answer_fd: int, snapshot_fd: int, examine: Examine) -> None:
    """The child's side: reads the order, has it examined, writes snapshot and answer."""
    snapshot, checked = examine(msgspec.msgpack.decode(_read(order_fd), type=CheckOrder))
    if snapshot is not None and snapshot_fd >= 0:
        _write(snapshot_fd, snapshot.encode())
    _write(answer_fd, msgspec.msgpack.encode(checked, enc_hook=plain))
