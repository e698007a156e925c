"""Where a running gateway leaves the socket by which the command line talks to it.

One socket for each supervisor, named by its pid. The directory belongs to its user alone (0700): whoever can enter it
may stop the gateway.
"""

import contextlib
import os
import socket
import stat
from pathlib import Path

from tidegate.process.failure import StartError
from tidegate.process.pid_file import is_supervisor

__all__ = ["default", "find_running", "prepare", "socket_path"]


def default() -> Path:
    """``$TIDEGATE_RUNTIME_DIR``, else the user's runtime directory."""
    if chosen := os.environ.get("TIDEGATE_RUNTIME_DIR"):
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/run/tidegate")
    if users := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(users) / "tidegate"
    return Path(f"/tmp/tidegate-{os.geteuid()}")  # noqa: S108 - `prepare` refuses one that is not ours


def prepare(directory: Path) -> None:
    """Makes the directory; StartError when it cannot be made or others may enter it."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise StartError(
            f"cannot make the runtime directory {directory}: {error.strerror} (set TIDEGATE_RUNTIME_DIR)"
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise StartError(f"the runtime directory {directory} is a link (name the directory that it leads to)")
    if found.st_uid != os.geteuid():
        raise StartError(
            f"the runtime directory {directory} belongs to another user (set TIDEGATE_RUNTIME_DIR to one of your own)"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise StartError(f"the runtime directory {directory} is open to other users (chmod 700, or remove it)")


def socket_path(directory: str | Path, pid: int) -> Path:
    """The socket of the gateway whose supervisor is ``pid``."""
    return Path(directory) / f"{pid}.sock"


def find_running(directory: Path) -> list[int]:
    """Pids of the gateways that answer there; sockets that dead ones left behind are removed.

    Raises:
        StartError: the directory belongs to another user, so nobody can say.
    """
    found = []
    try:
        paths = sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        paths = []
    except OSError as error:
        raise StartError(f"cannot look into the runtime directory {directory}: {error.strerror}") from error
    for path in paths:
        if path.suffix != ".sock":
            continue
        if not path.stem.isdigit():
            continue
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.settimeout(1.0)
            try:
                caller.connect(str(path))
            except ConnectionRefusedError:
                if is_supervisor(int(path.stem)):  # one that starts: it is bound, and not listened to yet
                    continue
                with contextlib.suppress(OSError):
                    path.unlink()
            except OSError:
                continue
            else:
                found.append(int(path.stem))
    return found
