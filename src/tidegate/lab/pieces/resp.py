"""Commands to Redis as the originals sent them: one connection, one command, one answer.

The link that Tidegate has instead is `tidegate.redis`; this is what it is compared with.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any, Self, cast

import hiredis

__all__ = ["Connection", "PortRange", "pack"]

_READ = 64 << 10
# From linux/in.h, since Linux 6.3; Python does not name it yet.
_IP_LOCAL_PORT_RANGE = 51


class PortRange:
    """So many local ports, for connections to loopback that may use no others.

    By the socket option that narrows the range of one socket, where the kernel has it; else by binding to one port
    after the other, which finds them used up in the same moment.
    """

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high
        self.is_kernels = sys.platform == "linux" and _kernel_narrows(low, high)
        self._next = low

    @classmethod
    def at_the_end(cls, count: int) -> Self:
        """The last ones of those that the machine gives out."""
        high = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[1])
        return cls(high - count + 1, high)

    def __len__(self) -> int:
        return self.high - self.low + 1

    def __repr__(self) -> str:
        return f"<PortRange {self.low} to {self.high}>"

    def make_socket(self) -> socket.socket:
        """A socket that is to be connected; OSError (EADDRNOTAVAIL), here or in `connect`: no port is left."""
        sock = socket.socket()
        sock.setblocking(False)
        try:
            if self.is_kernels:
                _narrow(sock, self.low, self.high)
            else:
                self._bind(sock)
        except OSError:
            sock.close()
            raise
        return sock

    def _bind(self, sock: socket.socket) -> None:
        for _ in range(len(self)):
            port = self._next
            self._next = self.low + (port + 1 - self.low) % len(self)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))


def _narrow(sock: socket.socket, low: int, high: int) -> None:
    sock.setsockopt(socket.IPPROTO_IP, _IP_LOCAL_PORT_RANGE, struct.pack("I", high << 16 | low))


def _kernel_narrows(low: int, high: int) -> bool:
    with socket.socket() as probe:
        try:
            _narrow(probe, low, high)
        except OSError:
            return False
    return True


def pack(words: tuple[str | int | bytes, ...]) -> bytes:
    """A command as it is sent."""
    return cast(bytes, hiredis.pack_command(cast(Any, words)))  # its types say one word, and it takes many


class Connection:
    """One connection for one caller at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = hiredis.Reader(notEnoughData=...)

    @classmethod
    async def open(cls, address: str, ports: PortRange | None = None) -> Self:
        """Connects to ``host:port``, from one of these local ports if they are given."""
        host, _, port = address.rpartition(":")
        if ports is None:
            sock = socket.socket()
            sock.setblocking(False)
        else:
            sock = ports.make_socket()
        try:
            await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    async def ask(self, *words: str | int | bytes) -> object:
        """The answer to one command; an error that is answered is returned. EOFError when the server is gone."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._sock, pack(words))
        while (answer := self._reader.gets()) is ...:
            data = await loop.sock_recv(self._sock, _READ)
            if not data:
                raise EOFError("the Redis server has closed the connection")
            self._reader.feed(data)
        return answer

    def close(self) -> None:
        """Closes it from this side, so that its port waits out its time here."""
        self._sock.close()

    def __repr__(self) -> str:
        return f"<Connection {self._sock.fileno()}>"
