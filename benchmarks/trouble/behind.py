"""What stands behind a gateway in trouble, and the configuration that leads there."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load import programs
from benchmarks.ports import free_port
from benchmarks.processes import LOAD_CORE, stop

CONFIGURATION = """
[upstreams.small]
endpoints = ["127.0.0.1:{small}"]
[upstreams.demo]
endpoints = ["127.0.0.1:{demo}"]
[filters.worker]
class = "benchmarks.filters:NamesWorker"
[[routes]]
name = "small"
path = "/small"
upstream = "small"
[[routes]]
name = "demo"
hosts = ["demo.example.com"]
filters = ["worker"]
upstream = "demo"
timeout = "{timeout}s"
[[routes]]
name = "pid"
path = "/pid"
filters = ["worker"]
respond = {{}}
"""
"""Routes ``/small``, ``/pid`` (the worker's) and one for WebSockets, whose filter answers ``/pid`` as well.

Fields: the ports of ``servers``, and ``timeout`` of a WebSocket in seconds.
"""


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[dict[str, int]]:
    """The ports of the servers behind the gateway: a small answer by a program in C, WebSockets by the demo."""
    ports = {"small": free_port(), "demo": free_port()}
    argv = ["taskset", "-c", str(LOAD_CORE), str(programs.build("upstream", folder)), str(ports["small"])]
    with contextlib.ExitStack() as stack:
        small = subprocess.Popen(argv, stdout=subprocess.PIPE)
        stack.callback(stop, small)
        if small.stdout is None or small.stdout.readline() != b"ready\n":
            sys.exit(f"no server could be started at port {ports['small']}")
        listener = stack.enter_context(socket.create_server(("127.0.0.1", ports["demo"]), backlog=512))
        listener.set_inheritable(True)
        demo = [sys.executable, "-m", "tidegate.cli.demo_upstream", str(listener.fileno())]
        stack.callback(stop, subprocess.Popen(demo, pass_fds=[listener.fileno()]))
        yield ports
