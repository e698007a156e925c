"""Where a gateway keeps what has to outlive it: the last good configuration and the history.

One directory for each configuration file, so that gateways on one machine do not mix; or the one that
``server.state_dir`` names.
"""

import hashlib
import os
import re
import stat
from pathlib import Path

from tidegate.process.failure import StartError

__all__ = ["for_file", "named_in", "prepare"]

_OPTION = re.compile(r"""^\s*"?state_dir"?\s*[=:]\s*["']?([^"'\n#]+?)["']?\s*(?:#.*)?$""", re.MULTILINE)


def _base() -> Path:
    for variable in ("TIDEGATE_STATE_DIR", "STATE_DIRECTORY"):  # systemd sets the second
        if chosen := os.environ.get(variable):
            return Path(chosen.partition(":")[0])
    if chosen := os.environ.get("TIDEGATE_RUNTIME_DIR"):  # who keeps that apart keeps this apart too
        return Path(chosen) / "state"
    if os.geteuid() == 0:
        return Path("/var/lib/tidegate")
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111 - never raises
    return Path(home) / "tidegate"


def for_file(file: str | Path) -> Path:
    """The directory of the gateway whose configuration is ``file``, when the file names none."""
    path = Path(file).absolute()
    mark = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    return _base() / f"{path.stem[:64]}-{mark}"


def named_in(text: str, file: str | Path) -> Path | None:
    """The directory that a configuration names, as far as that can be told of one that is not valid."""
    found = _OPTION.search(text)
    return None if found is None else Path(file).absolute().parent / found[1]


def prepare(directory: Path) -> None:
    """Makes the directory; StartError when it cannot be made or others may look into it."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
    except OSError as error:
        raise StartError(f"cannot make the state directory {directory}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise StartError(f"the state directory {directory} is a file")
    if found.st_uid != os.geteuid():
        raise StartError(f"the state directory {directory} belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise StartError(f"the state directory {directory} is open to other users, and may hold secrets (chmod 700)")
