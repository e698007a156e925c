"""The secret that keys of limits are told apart under, kept so that what is known of them is of use after a restart."""

import contextlib
import os
from pathlib import Path

from tidegate.memory.layout import SECRET_SIZE
from tidegate.process.whole_file import write_whole

__all__ = ["FILE", "limits_key"]

FILE = "limits.key"


def limits_key(directory: Path) -> bytes:
    """That of the gateway whose state is in ``directory``, made at first use; a passing one if the disk takes none."""
    path = directory / FILE
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            key = os.read(fd, SECRET_SIZE + 1)
        finally:
            os.close(fd)
        if len(key) == SECRET_SIZE:
            return key
    key = os.urandom(SECRET_SIZE)
    with contextlib.suppress(OSError):
        write_whole(path, key)
    return key
