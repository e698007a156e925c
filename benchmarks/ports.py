"""Ports for servers that are started with one."""

import contextlib
import os
import socket
from pathlib import Path

_given: set[int] = set()


def free_port() -> int:
    """A TCP port nobody listens on, below the range the kernel hands out to clients, and never the same one twice.

    One from that range (a bind to port 0, closed again) may belong to a connection by the time its server starts.
    """
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(200):
        port = 10_000 + int.from_bytes(os.urandom(2)) % max(1, min(low, 32_768) - 10_000)
        if port in _given:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port
    raise RuntimeError("found no free port in 200 tries")
