"""Where a gateway keeps what has to outlive it: the last good configuration and the history.

One directory for each configuration file, so that gateways on one machine do not mix; or the one that
``server.state_dir`` names. Who runs a gateway has a lock on it, so that two of them never write the same history.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import stat
from pathlib import Path

from tidegate.config.snapshot import Snapshot
from tidegate.process.failure import StartError

__all__ = [
    "base",
    "claim",
    "claimed_at_ns",
    "for_file",
    "last_holder",
    "named_in",
    "of_gateway",
    "prepare",
    "release",
    "stay",
]

_OPTION = re.compile(r"""^\s*"?state_dir"?\s*[=:]\s*["']?([^"'\n#]+?)["']?\s*(?:#.*)?$""", re.MULTILINE)


def base() -> Path:
    """Below it each configuration file has its directory."""
    for variable in ("TIDEGATE_STATE_DIR", "STATE_DIRECTORY"):  # systemd sets the second
        if chosen := os.environ.get(variable):
            return Path(chosen.partition(":")[0])
    if chosen := os.environ.get("TIDEGATE_RUNTIME_DIR"):  # who keeps that apart keeps this apart too
        return Path(chosen) / "state"
    if os.geteuid() == 0:
        return Path("/var/lib/tidegate")
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111 - never raises
    return Path(home) / "tidegate"


def stay() -> None:
    """Whoever is started from now on, as another user too, looks where this process does."""
    os.environ["TIDEGATE_STATE_DIR"] = str(base())


def for_file(file: str | Path) -> Path:
    """The directory of the gateway whose configuration is ``file``, when the file names none."""
    path = Path(file).absolute()
    mark = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    return base() / f"{path.stem[:64]}-{mark}"


def of_gateway(snapshot: Snapshot) -> Path | None:
    """The directory of the gateway that runs ``snapshot``; None when it comes from no file and names none."""
    if (named := snapshot.gateway.server.state_dir) is not None:
        return Path(named)
    return for_file(snapshot.origin.name) if snapshot.origin.name else None


def named_in(text: str, file: str | Path) -> Path | None:
    """The directory that a configuration names, as far as that can be told of one that is not valid."""
    found = _OPTION.search(text)
    return None if found is None else Path(file).absolute().parent / found[1]


def prepare(directory: Path) -> None:
    """Makes the directory; StartError when it cannot be made or others may look into it."""
    try:
        _make(directory)
        found = directory.stat()
    except OSError as error:
        raise StartError(f"cannot make the state directory {directory}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise StartError(f"the state directory {directory} is a file")
    if found.st_uid != os.geteuid():
        raise StartError(f"the state directory {directory} belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise StartError(f"the state directory {directory} is open to other users, and may hold secrets (chmod 700)")


def _make(directory: Path) -> None:
    """With what is missing above it, for nobody else either: that may be the runtime directory, which has to be so."""
    for missing in reversed([one for one in (directory, *directory.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def claim(directory: Path) -> int:
    """A descriptor that keeps everybody else from claiming ``directory`` for as long as it is open; -1: not to be had.

    The kernel gives it up with its last holder, however that ends; over `exec` it stays. Nothing on disk is needed to
    serve, so a directory that cannot be written is no reason not to.

    Raises:
        StartError: another gateway has it.
    """
    try:
        prepare(directory)
        fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except (OSError, StartError):
        return -1
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise StartError(
            f"another gateway{f' (pid {holder})' if holder else ''} keeps its state in {directory} already "
            "(stop it, or give this one another server.state_dir)"
        ) from None
    except OSError:  # a file system that has no locks
        os.close(fd)
        return -1
    with contextlib.suppress(OSError):  # a full disk: only its name is missing
        _write_holder(fd, f"{os.getpid()}\n")
    with contextlib.suppress(OSError):
        os.utime(fd)  # whatever could be written: `claimed_at_ns` has changed
    return fd


def release(fd: int, killed: int | None = None) -> None:
    """Gives a claim back (-1: there was none), leaving the name of nobody, or of one that was killed before."""
    if fd >= 0:
        with contextlib.suppress(OSError):
            _write_holder(fd, "\n" if killed is None else f"{killed}\n")
        os.close(fd)


def _write_holder(fd: int, line: str) -> None:
    # Written over, then cut, and never empty: once the file has its place, a disk that is full takes the next name too.
    written = os.pwrite(fd, line.encode(), 0)
    os.ftruncate(fd, written)


def last_holder(directory: Path) -> int | None:
    """Who claimed it last and has not released it: it runs, or it was killed."""
    with contextlib.suppress(OSError, ValueError):
        return int((directory / "lock").read_bytes()[:20])
    return None


def claimed_at_ns(directory: Path) -> int:
    """When it was claimed last; 0: never, or nobody can say."""
    try:
        return (directory / "lock").stat().st_mtime_ns
    except OSError:
        return 0
