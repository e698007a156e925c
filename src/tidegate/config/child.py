"""Checks a configuration in a process of its own: pydantic's memory, and the filters' modules, are gone when it ends.

The process that serves or supervises thereby stays small, and a module that hangs or dies while it is imported takes
nobody with it.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tidegate.config.findings import Finding
from tidegate.config.snapshot import Snapshot

__all__ = ["check_apart"]


@dataclass(frozen=True, slots=True)
class _Answer:
    snapshot: Snapshot | None
    findings: list[Finding]


def check_apart(path: str | Path, *, number: int = 1, timeout_s: float = 60.0) -> tuple[Snapshot | None, list[Finding]]:
    """As :func:`tidegate.config.check.check`, in a child process; what a module prints goes to standard error.

    Args:
        path: the configuration file.
        number: of the snapshot.
        timeout_s: after which the child is killed, and that is the finding.
    """
    with tempfile.TemporaryFile() as answer:
        command = [sys.executable, "-m", "tidegate.config.child", str(path), str(number), str(answer.fileno())]
        try:
            done = subprocess.run(
                command, pass_fds=[answer.fileno()], stdin=subprocess.DEVNULL, stdout=2, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            message = f"could not be checked within {timeout_s:g} s; does a filter's module wait for something?"
            return None, [Finding(file=str(path), message=message)]
        answer.seek(0)
        data = answer.read()
    if done.returncode != 0 or not data:
        return None, [
            Finding(file=str(path), message=f"could not be checked: the checker ended with {done.returncode}")
        ]
    found = msgspec.json.decode(data, type=_Answer)
    return found.snapshot, found.findings


def _main(path: str, number: str, fd: str) -> None:
    from tidegate.config.check import check

    snapshot, findings = check(path, number=int(number))
    encoded = msgspec.Raw(snapshot.encode() if snapshot is not None else b"null")
    with os.fdopen(int(fd), "wb") as answer:
        answer.write(msgspec.json.encode({"snapshot": encoded, "findings": findings}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
