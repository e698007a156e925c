"""What the supervisor has to say: one line on standard error, or nothing when nobody reads it.

A pipe that is full would stop the process that watches all others, so a line is written only when it fits at once.
"""

import os
import select
import sys
import time

__all__ = ["notice"]

_STDERR = 2
_LONGEST = 2048  # below PIPE_BUF: a pipe that poll calls writable takes it whole


def notice(level: str, text: str) -> None:
    """Writes ``text`` as one line; ``level`` is info, warning or error."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    line = f"{stamp} {level} supervisor: {' '.join(text.split())}"
    poll = select.poll()
    try:
        poll.register(_STDERR, select.POLLOUT)
        if poll.poll(0):
            os.write(_STDERR, line.encode("utf-8", "backslashreplace")[:_LONGEST] + b"\n")
    except OSError:
        sys.stderr = None  # closed: nothing can be said any more, which is no reason to stop serving
