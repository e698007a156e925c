"""A worker's body for tests: says who serves, then sends lines back."""

import asyncio
import os
import socket
import time
from pathlib import Path


class EchoService:
    """Each connection is greeted with ``slot pid``; then each line comes back. The word "burn" blocks the loop."""

    def __init__(self, loop, snapshot, slot, region, error_log, *, listeners):
        self.loop = loop
        self.slot = slot
        self.listeners = [socket.socket(fileno=fd) for _, fd in listeners]
        self.connections = set()
        self.is_draining = False
        self.empty = asyncio.Event()

    async def prepare(self, snapshot):
        name, _, path = os.environ.get("ECHO_TROUBLE", "").partition(":")
        if name == "refuse":
            raise ValueError("the echo has no voice today")
        if name == "crash" or (name == "crash-if" and Path(path).exists()):  # noqa: ASYNC240 - nothing else runs
            os._exit(9)
        if name == "hang":
            await asyncio.Event().wait()
        if name == "bug":
            {}["surprise"]

    def forget(self, number):
        pass

    def start(self):
        if os.environ.get("ECHO_TROUBLE") == "refuse-late":
            raise ValueError("the echo lost its voice")
        for one in self.listeners:
            self.loop.add_reader(one, self.accept, one)
            self.accept(one)

    def accept(self, one):
        while True:
            try:
                connection, _ = one.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)
            self.connections.add(connection)
            connection.send(f"{self.slot} {os.getpid()}\n".encode())
            self.loop.add_reader(connection, self.serve, connection)

    def serve(self, connection):
        try:
            data = connection.recv(65536)
        except ConnectionError:
            data = b""
        if data.startswith(b"burn "):
            time.sleep(float(data[5:]))
        if data:
            connection.send(data)
        if not data or self.is_draining:
            self.loop.remove_reader(connection)
            connection.close()
            self.connections.discard(connection)
            self.check()

    def check(self):
        if self.is_draining and not self.connections:
            self.empty.set()

    def drain(self, deadline):
        self.is_draining = True
        for one in self.listeners:
            self.accept(one)
            self.loop.remove_reader(one)
            one.close()
        self.check()

    async def drained(self):
        await self.empty.wait()

    def close(self):
        for connection in self.connections:
            connection.close()

    def statistics(self):
        return {"connections": len(self.connections)}
