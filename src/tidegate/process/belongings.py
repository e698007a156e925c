"""What the user whom the gateway becomes needs, made ready while it is root: log files, state, recordings.

Rules:
- Made by the user where that works.
- Root makes or gives away only in places where the user, and whoever else is not root, can put nothing: otherwise a
  link of theirs would turn any file of the machine into theirs (as CVE-2016-1247 did with nginx's logs).
- A state directory of root is claimed before anything of it is given away: a gateway of root may still run with it.
  Only what a gateway keeps there is given, by its names; where anything else is, nothing is (``/root``, ``/etc``).
"""

import contextlib
import errno
import os
import re
import stat
from pathlib import Path

from tidegate.config.declarations import walk
from tidegate.config.kinds import File, Reference, WrittenFile
from tidegate.config.schema import Gateway
from tidegate.process import state_directory
from tidegate.process.failure import StartError
from tidegate.process.identity import Identity

__all__ = ["claim_state", "hand_over"]

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_LINKS_MAX = 40  # as the kernel's MAXSYMLINKS
_LOG_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC

# What a gateway keeps in a state directory, and below it in which directory.
_KEPT = {
    "": r"lock|mask\.key|limits\.key|learned\.json|quotas\.log|last-good\.(toml|yaml)",
    "history": r"\d+\.json",
    "recordings": r"recording-[\w-]+\.jsonl\.gz",
}


def hand_over(gateway: Gateway, identity: Identity) -> None:
    """Makes log files and the directory of recordings usable for ``identity``.

    Raises:
        StartError: a log file is not, or a file that is to be read (a key, say) is closed to it.
    """
    with identity.assumed():
        read = [name for _, kind, name in walk(gateway, File) if not isinstance(kind, WrittenFile)]
        secrets = [name for _, _, name in walk(gateway, Reference) if name.startswith("file:")]
        for name in (*read, *(secret.removeprefix("file:") for secret in secrets)):
            if not os.access(name, os.R_OK, effective_ids=True):
                raise StartError(f"user {identity.name} may not read {name} (give it to a group of that user)")
    for name, path in (("error", gateway.error_log.path), ("access", gateway.access_log.path)):
        if path not in ("-", "off"):
            _make_log(name, path, identity)
    if gateway.recorder.directory is not None:
        _make_directory(Path(gateway.recorder.directory), identity)


def claim_state(directory: Path, identity: Identity | None) -> int:
    """`state_directory.claim` for who will use it.

    Raises:
        StartError: another gateway has it, or it is root's and holds what is no gateway's.
    """
    if identity is None:
        return state_directory.claim(directory)
    if directory.parent == state_directory.base():
        _make_passable(directory.parent)
    if _is_of_root(directory) and _is_safe(directory.parent):
        _kept(directory, identity)
        fd = state_directory.claim(directory)
        if fd >= 0:
            with contextlib.suppress(OSError):  # what cannot be written is said when it is tried
                _give(directory, identity)
        return fd
    _make_directory(directory, identity)
    with identity.assumed():
        return state_directory.claim(directory)


def _make_log(name: str, path: str, identity: Identity) -> None:
    try:
        try:
            with identity.assumed():
                os.close(os.open(path, _LOG_FLAGS, 0o640))
        except PermissionError:
            if not _is_safe(Path(path).parent):
                raise
            _give_log(path, identity)
    except OSError as error:
        raise StartError(
            f"the {name} log {path} cannot be opened as user {identity.name}: {error.strerror or error}"
        ) from error


def _give_log(path: str, identity: Identity) -> None:
    fd = os.open(path, _LOG_FLAGS | os.O_NOFOLLOW, 0o640)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise PermissionError(errno.EPERM, "it is no plain file of its own")
        if found.st_uid != 0:
            raise PermissionError(errno.EPERM, "it belongs to another user")
        os.fchown(fd, identity.uid, identity.gid)
        os.fchmod(fd, found.st_mode | 0o600)
    finally:
        os.close(fd)


def _make_directory(directory: Path, identity: Identity) -> None:
    """For the user alone, with what is missing above it; does nothing where that is not root's business."""
    missing = [one for one in (directory, *directory.parents) if not os.path.lexists(one)]
    if not missing or not _is_safe(missing[-1].parent):
        return
    with contextlib.suppress(OSError):
        for above in reversed(missing[1:]):
            above.mkdir()
            above.chmod(0o711)
        directory.mkdir(mode=0o700)
        os.chown(directory, identity.uid, identity.gid, follow_symlinks=False)


def _make_passable(directory: Path) -> None:
    """One that root keeps to itself may be passed through, and not be listed."""
    with contextlib.suppress(OSError):
        if _is_of_root(directory) and stat.S_IMODE(directory.stat().st_mode) & 0o077 == 0:
            directory.chmod(0o711)


def _is_of_root(directory: Path) -> bool:
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == 0


def _give(directory: Path, identity: Identity) -> None:
    # The top last: as long as it is root's and closed, nobody can put anything in between.
    for path in (*_kept(directory, identity), directory):
        os.chown(path, identity.uid, identity.gid, follow_symlinks=False)


def _kept(directory: Path, identity: Identity) -> list[Path]:
    """What a gateway has left in a directory of root, what is below a directory before that. StartError: other things.

    A directory that is the user's already was given with what it holds, by a start that did not come to its end.
    """
    kept: list[Path] = []
    for below, names in _KEPT.items():
        place = directory / below
        if below and not _is_of_root(place):
            continue
        own = re.compile(rf"{names}|\.({names})\.\d+(\.part)?")  # and what was being written when it was killed
        for path in sorted(place.iterdir()):
            found = path.lstat()
            if stat.S_ISDIR(found.st_mode):
                is_own = not below and path.name in _KEPT
            else:
                is_own = stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and own.fullmatch(path.name) is not None
            if not is_own or found.st_uid not in (0, identity.uid):
                raise StartError(
                    f"the state directory {directory} is not given to user {identity.name}, as {path} is not a "
                    "gateway's (name a directory of its own as server.state_dir, or give it to that user yourself)"
                )
            kept.append(path)
    return kept[::-1]


def _is_safe(directory: Path) -> bool:
    """Whether nobody but root can put anything into a directory or in place of what leads there, link by link.

    On the way there a directory that others may write to will do when it is sticky (/tmp): what root has there stays
    where it is. Into the last one they could still put a file, or a hard link to one. That a group may write counts
    whoever is in it: it can be the mask of an access list, too.
    """
    at = Path("/")
    ahead = list(Path(os.path.abspath(directory)).parts[:0:-1])  # noqa: PTH100 - as it is written
    links = 0
    try:
        while ahead:
            name = ahead.pop()
            if name == "..":  # of a link
                at = at.parent
                continue
            found = (at / name).lstat()
            if found.st_uid != 0:
                return False
            if stat.S_ISLNK(found.st_mode):
                links += 1
                target = (at / name).readlink()
                ahead += [part for part in reversed(target.parts) if part != "/"]
                at = Path("/") if target.is_absolute() else at
                if links > _LINKS_MAX:
                    return False
                continue
            if found.st_mode & _OTHERS_WRITE and not found.st_mode & stat.S_ISVTX:
                return False
            at /= name
        found = at.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & _OTHERS_WRITE
