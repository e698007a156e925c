"""Connections as the originals had them, from ports that can be used up."""

import asyncio
import contextlib
import errno
import socket
from pathlib import Path

import pytest

from tidegate.lab.pieces.resp import Connection, PortRange


class Answers(asyncio.Protocol):
    """Pongs, and says good-bye by closing."""

    def __init__(self, there):
        self.there = there

    def connection_made(self, transport):
        self.transport = transport
        self.there.append(transport)

    def data_received(self, data):
        if b"bye" in data:
            self.transport.close()
        else:
            self.transport.write(b"+PONG\r\n")


@contextlib.asynccontextmanager
async def serving():
    there = []
    server = await asyncio.get_running_loop().create_server(lambda: Answers(there), "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for transport in there:
            transport.abort()
        await asyncio.sleep(0)


def test_a_command_has_its_answer_and_a_lost_connection_is_said():
    async def ask():
        async with serving() as address:
            connection = await Connection.open(address)
            answer = await connection.ask("ping")
            with pytest.raises(EOFError):
                await connection.ask("bye")
            connection.close()
            return answer

    assert asyncio.run(ask()) == b"PONG"


@pytest.mark.parametrize("is_kernels", [True, False])
def test_ports_are_used_up(is_kernels):
    high = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[1]) - 1000
    ports = PortRange(high - 7, high)
    assert len(ports) == 8
    if is_kernels and not ports.is_kernels:
        pytest.skip("this kernel narrows no single socket's ports")
    ports.is_kernels = is_kernels

    async def use_up():
        async with serving() as address:
            used = []
            try:
                while len(used) < 9:
                    used.append(await Connection.open(address, ports))
            except OSError as error:
                return error.errno
            finally:
                for one in used:
                    one.close()

    assert asyncio.run(use_up()) == errno.EADDRNOTAVAIL


def test_a_socket_has_one_of_its_ports():
    high = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[1]) - 2000
    ports = PortRange(high - 49, high)
    with socket.create_server(("127.0.0.1", 0)) as listener, ports.make_socket() as sock:
        sock.setblocking(True)
        sock.connect(listener.getsockname())
        assert ports.low <= sock.getsockname()[1] <= ports.high
