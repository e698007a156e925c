"""Ports run out as it happened; through Tidegate a connection a lane."""

import asyncio
import socket
import tempfile
import time
from pathlib import Path

import pytest
from tests.lab.playing import short

from tidegate.lab.pieces.valkey import Valkey
from tidegate.lab.scenarios.ports import IDLE, OPEN, OriginalPool, Ports, time_wait


@pytest.mark.e2e
@pytest.mark.slow
def test_the_incident_is_there_as_it_happened_and_not_through_tidegate():
    short(Ports())


def test_the_pool_of_the_incident_lets_nobody_wait_and_keeps_some():
    async def ask():
        async with Valkey(Path(tempfile.mkdtemp())) as valkey:
            pool = OriginalPool(valkey.address, Free())
            found = await asyncio.gather(*(pool.ask("PING") for _ in range(OPEN + 7)), return_exceptions=True)
            opened, kept = pool.opened, repr(pool)
            pool.close()
            return found, opened, kept

    found, opened, kept = asyncio.run(ask())
    assert [str(one) for one in found].count("the pool has all the connections that it may open") == 7
    assert opened == OPEN
    assert f"{IDLE} idle" in kept


class Free:
    """Any port."""

    def make_socket(self):
        sock = socket.socket()
        sock.setblocking(False)
        return sock


def test_sockets_that_wait_out_their_time_are_counted_by_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert time_wait(port) == 0
        with socket.create_connection(("127.0.0.1", port)) as client:
            server, _ = listener.accept()
            client.shutdown(socket.SHUT_WR)
            assert server.recv(1) == b""
            server.close()
            assert client.recv(1) == b""
        deadline = time.monotonic() + 30
        while time_wait(port) != 1:
            assert time.monotonic() < deadline
