"""The file that says which process the supervisor is, for init scripts and whoever else wants it in a file.

Written whole (beside its place, then renamed) when the sockets are bound, removed at the end. One that a dead gateway
left behind is replaced; one of a gateway that runs keeps another one from starting. An upgrade keeps the pid.

Root writes it, and the directory may be another user's, who can tell the pid beforehand: no link is followed, and no
file that is there already is written to.
"""

import contextlib
import os
from pathlib import Path

from tidegate.process.failure import StartError

__all__ = ["is_supervisor", "look", "remove", "write"]

_MODULE = b"tidegate.process.supervisor"


def look(path: Path) -> None:
    """Makes sure that the file is nobody else's. StartError: a gateway that runs, or another file."""
    try:
        text = path.read_bytes()[:100].strip()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StartError(f"the pid file {path} cannot be read: {error.strerror}") from error
    if text and not text.isdigit():
        raise StartError(f"{path} is not a pid file, and would be replaced; server.pid_file has to be another place")
    if text and int(text) != os.getpid() and is_supervisor(int(text)):
        raise StartError(
            f"another gateway (pid {int(text)}) has the pid file {path} "
            "(stop it, or give this one another server.pid_file)"
        )


def write(path: Path) -> None:
    """Writes it. StartError: it cannot be written."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.unlink(missing_ok=True)
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(fd, "w") as file:
            file.write(f"{os.getpid()}\n")
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise StartError(f"the pid file {path} cannot be written: {error.strerror}") from error


def remove(path: Path) -> None:
    """Removes it, if it still says this process."""
    with contextlib.suppress(OSError):
        if path.read_bytes().strip() == b"%d" % os.getpid():
            path.unlink()


def is_supervisor(pid: int) -> bool:
    """Whether a gateway runs under that pid: one of a dead gateway may be another program's by now."""
    try:
        return _MODULE in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
