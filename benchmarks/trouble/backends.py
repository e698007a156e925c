"""Backends of a known capacity in a process of their own: each so many servers behind one queue, as in the simulator.

What they take is changed while they run. They work on what nobody waits for any more, as most do.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.ports import free_port

_PROGRAM = """
import asyncio, collections, json, random, sys
import uvloop

ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"
backends = {}

class Backend:
    def __init__(self, name, servers, latency_s):
        self.free, self.latency_s = servers, latency_s
        self.waiting, self.chance = collections.deque(), random.Random(name)

    def ask(self, connection):
        if self.free:
            self.begin(connection)
        else:
            self.waiting.append(connection)

    def begin(self, connection):
        self.free -= 1
        asyncio.get_running_loop().call_later(self.latency_s * self.chance.uniform(0.9, 1.1), self.end, connection)

    def end(self, connection):
        self.free += 1
        connection.answer()
        if self.waiting:
            self.begin(self.waiting.popleft())

class Connection(asyncio.Protocol):
    def __init__(self, backend):
        self.backend, self.buffer = backend, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\\r\\n\\r\\n")) >= 0:
            self.buffer = self.buffer[end + 4 :]
            self.backend.ask(self)

    def answer(self):
        if not self.transport.is_closing():
            self.transport.write(ANSWER)

async def main():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    for name, (port, servers, latency_s) in json.loads(await reader.readline()).items():
        backend = backends[name] = Backend(name, servers, latency_s)
        await loop.create_server(lambda backend=backend: Connection(backend), "127.0.0.1", port, backlog=4096)
    print("ready", flush=True)
    while line := await reader.readline():
        for name, latency_s in json.loads(line).items():
            backends[name].latency_s = latency_s

uvloop.run(main())
"""


class Backend(NamedTuple):
    """So many servers, each of which takes so long for a request, within 10 %."""

    servers: int
    latency_s: float


class Backends(contextlib.AbstractContextManager["Backends"]):
    """All of them, by name; they end with the block.

    Args:
        backends: What there is.
    """

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self.ports = {name: free_port() for name in backends}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._tell({name: (self.ports[name], one.servers, one.latency_s) for name, one in backends.items()})
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the backends did not start")

    def __repr__(self) -> str:
        return f"<Backends {', '.join(self.ports)}>"

    def take(self, latency_s: Mapping[str, float]) -> None:
        """What begins from now on at the backends of these names takes so long."""
        self._tell(dict(latency_s))

    def _tell(self, what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
