"""The relay misbehaves as it is told, and else not at all."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tidegate.lab.pieces.relay import Relay


@contextmanager
def relayed() -> Iterator[tuple[Relay, socket.socket, socket.socket]]:
    """A relay, a client connected through it, and the server's side of that connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        with Relay(f"{host}:{port}") as relay, _connect(relay) as client:
            server, _ = listener.accept()
            server.settimeout(30)
            with server:
                yield relay, client, server


def _connect(relay: Relay) -> socket.socket:
    host, _, port = relay.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def _all(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := sock.recv(size - len(data))):
        data += more
    return data


def test_bytes_pass_both_ways_unchanged() -> None:
    with relayed() as (relay, client, server):
        sent = bytes(range(256)) * 1000
        client.sendall(sent)
        assert _all(server, len(sent)) == sent
        server.sendall(sent[::-1])
        assert _all(client, len(sent)) == sent[::-1]
        assert relay.bytes_passed == 2 * len(sent) and relay.accepted == relay.open == 1


def test_ends_pass_too() -> None:
    with relayed() as (_, client, server):
        client.sendall(b"last")
        client.shutdown(socket.SHUT_WR)
        assert _all(server, 100) == b"last"
        server.sendall(b"answer")
        server.close()
        assert _all(client, 100) == b"answer"


def test_delay_is_the_least_that_every_byte_takes() -> None:
    with relayed() as (relay, client, server):
        relay.delay_s = 0.1
        began = time.monotonic()
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        assert time.monotonic() - began >= 0.1


def test_a_capped_line_takes_its_time() -> None:
    with relayed() as (relay, client, server):
        relay.bytes_per_s = 1e6
        began = time.monotonic()
        client.sendall(b"x" * 200_000)
        assert len(_all(server, 200_000)) == 200_000
        assert time.monotonic() - began >= 0.19


def test_what_is_held_comes_when_it_is_released() -> None:
    with relayed() as (relay, client, server):
        relay.hold()
        client.sendall(b"x")
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.recv(1)
        server.settimeout(30)
        relay.release()
        assert server.recv(1) == b"x"


def test_a_cut_is_a_reset_on_both_sides() -> None:
    with relayed() as (relay, client, server):
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        relay.cut()
        for side in (client, server):
            with pytest.raises(ConnectionResetError):
                side.recv(1)


def test_a_half_closed_client_may_go_on_sending() -> None:
    with relayed() as (relay, client, server):
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        relay.half_close()
        assert client.recv(1) == b""
        client.sendall(b"y")
        assert server.recv(1) == b"y"


def test_garbage_comes_from_nobody() -> None:
    with relayed() as (relay, client, server):
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        relay.say(b"garbage")
        assert _all(client, 7) == b"garbage"


def test_new_connections_can_be_refused() -> None:
    with relayed() as (relay, _, _), _connect(relay) as first:
        del first
        relay.is_refusing = True
        with pytest.raises(ConnectionResetError), _connect(relay) as second:
            second.recv(1)


def test_a_server_that_is_away_is_a_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    # The reset may be there before `connect` has returned.
    with Relay(f"127.0.0.1:{port}") as relay, pytest.raises(ConnectionResetError), _connect(relay) as client:
        client.recv(1)
