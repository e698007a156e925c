"""A number for a server that is started with one."""

from __future__ import annotations

import socket

__all__ = ["free_port"]


def free_port() -> int:
    """A TCP port of loopback that the kernel has just given out and taken back.

    Another process may have it a moment later: whoever starts a server with it tries again when that fails.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
