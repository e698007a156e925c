"""Checks a configuration in a process of its own: pydantic's memory, and the filters' modules, are gone when it ends.

The process that serves or supervises thereby stays small and is never held up, and a module that hangs or dies while it
is imported takes nobody with it. An order goes in and an answer comes back through memory files; so does the snapshot,
which goes on to the workers without being looked at.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Literal

import msgspec

from tidegate.config.findings import Finding
from tidegate.config.snapshot import Origin, Snapshot, plain

__all__ = ["TIMEOUT_S", "Active", "CheckOrder", "Checked", "answer", "check_apart"]

TIMEOUT_S = 60.0


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
        argv = [sys.executable, "-P", "-m", "tidegate.config.examine", *map(str, (order_fd, answer_fd, snapshot_fd))]
        fds = [fd for fd in (order_fd, answer_fd, snapshot_fd) if fd >= 0]
        child = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=2, pass_fds=fds, env=_environment()
        )
        try:
            async with asyncio.timeout(timeout_s):
                code = await child.wait()
        except TimeoutError:
            message = f"could not be checked within {timeout_s:g} s; does a filter's module wait for something?"
            return Checked(findings=[Finding(file=order.name, message=message)])
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
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
