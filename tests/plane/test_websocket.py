"""Upgraded connections: through, both ways, and to their end."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from tests.plane.harness import Peer, Plane, Upstream, small_buffers, until
from tests.plane.serving import GET, OK, check_failure, gateway, idle, proxy_error
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

pytestmark = pytest.mark.sanitize

HANDSHAKE = (
    b"GET /chat?x=1 HTTP/1.1\r\nHost: gateway.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: chat\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
)
SHORT = 'read_timeout = "300ms"'


@contextlib.contextmanager
def upgraded(upstream: Upstream, plane: Plane) -> Iterator[tuple[Peer, Peer]]:
    """A client and its server, both past the handshake."""
    with plane.connect() as client:
        client.send(HANDSHAKE)
        with upstream.accept() as server:
            server.request()
            server.send(SWITCH)
            assert client.head()[0] == "HTTP/1.1 101 Switching Protocols"
            yield client, server


def test_handshake_goes_through_and_both_log_lines_are_written() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            client.send(HANDSHAKE)
            with upstream.accept() as server:
                line, fields = server.head()
                values = {name.lower(): value for name, value in fields}
                assert line == "GET /chat?x=1 HTTP/1.1"
                assert values["connection"].lower() == "upgrade"
                assert values["upgrade"].lower() == "websocket"
                assert values["sec-websocket-key"] == "dGhlIHNhbXBsZSBub25jZQ=="
                server.send(SWITCH)
                line, fields = client.head()
                values = {name.lower(): value for name, value in fields}
                assert line == "HTTP/1.1 101 Switching Protocols"
                assert values["connection"].lower() == "upgrade"
                assert values["upgrade"].lower() == "websocket"
                assert values["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
                assert values["sec-websocket-protocol"] == "chat"
                (opened,) = plane.log_records(1)
                assert (opened["event"], opened["status"]) == ("upgrade_opened", 101)
                assert plane.counters()["upgrades_open"] == 1
                client.send(b"ping")
                assert server.exactly(4) == b"ping"
                server.send(b"pong!")
                assert client.exactly(5) == b"pong!"
        until(plane.is_at_rest, "at rest")
        (closed,) = plane.log_records(1)
        assert (closed["event"], closed["status"]) == ("upgrade_closed", 101)
        assert (closed["bytes_in"], closed["bytes_out"]) == (4, 5)
        assert closed["request_id"] == opened["request_id"]
        assert plane.counters()["upgrades_open"] == 0
        assert not plane.error_log.said


def test_bytes_behind_the_handshake_are_not_lost() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            client.send(HANDSHAKE + b"first of the client")
            with upstream.accept() as server:
                server.head()
                time.sleep(0.05)
                assert server.buffer == b""  # not before the server has agreed
                server.send(SWITCH + b"first of the server")
                client.head()
                assert client.exactly(19) == b"first of the server"
                assert server.exactly(19) == b"first of the client"
                client.send(b" and more")
                assert server.exactly(9) == b" and more"
        until(plane.is_at_rest, "at rest")


def test_handshake_in_pieces() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            for at in range(0, len(HANDSHAKE), 50):
                client.send(HANDSHAKE[at : at + 50])
                time.sleep(0.002)
            with upstream.accept() as server:
                server.head()
                for at in range(0, len(SWITCH), 20):
                    server.send(SWITCH[at : at + 20])
                    time.sleep(0.002)
                server.send(b"!")
                client.head()
                assert client.exactly(1) == b"!"
        until(plane.is_at_rest, "at rest")


def fill(peer: Peer) -> int:
    """Sends until nobody takes any more; how much that was."""
    peer.sock.settimeout(0.5)
    sent = 0
    try:
        while True:
            sent += peer.sock.send(b"x" * 65536)
            assert sent < 64 << 20, "nobody stops who sends to somebody that does not read"
    except TimeoutError:
        peer.sock.settimeout(30)
        return sent


@pytest.mark.parametrize("direction", ["to the server", "to the client"])
def test_who_does_not_read_stops_who_sends_and_nothing_is_lost(direction: str) -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with upgraded(upstream, plane) as (client, server):
            sender, receiver = (client, server) if direction == "to the server" else (server, client)
            small_buffers(client, server)
            sent = fill(sender)
            # The other direction is not held up.
            receiver.send(b"meanwhile")
            assert sender.exactly(9) == b"meanwhile"
            left = sent
            while left:
                left -= len(receiver.sock.recv(1 << 20))
            sender.send(b"again")
            assert receiver.exactly(5) == b"again"
        until(plane.is_at_rest, "at rest")


@pytest.mark.parametrize("first", ["client", "server"])
def test_half_that_is_closed_leaves_the_other_open(first: str) -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with upgraded(upstream, plane) as (client, server):
            one, other = (client, server) if first == "client" else (server, client)
            one.send(b"last words")
            one.sock.shutdown(socket.SHUT_WR)
            assert other.rest() == b"last words"
            for _ in range(3):
                other.send(b"still here")
                assert one.exactly(10) == b"still here"
            other.close()
            assert one.is_closed()
            until(lambda: plane.statistics().exchanges == 0, "it is over")
        until(plane.is_at_rest, "at rest")
        assert "error" not in plane.log_records(2)[1]


@pytest.mark.parametrize("who", ["client", "server"])
def test_last_words_are_delivered_though_the_other_reads_late(who: str) -> None:
    """A megabyte, then the end: what the gateway still holds is not thrown away with the connection that is gone."""
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with upgraded(upstream, plane) as (client, server):
            speaker, listener = (client, server) if who == "client" else (server, client)
            sent = 0
            speaker.sock.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                while True:
                    sent += speaker.sock.send(b"x" * 50_000)
            speaker.close()
            assert len(listener.rest()) == sent
            listener.close()
        until(plane.is_at_rest, "at rest")


@pytest.mark.parametrize("who", ["client", "server"])
def test_reset_of_one_side_ends_the_other(who: str) -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with upgraded(upstream, plane) as (client, server):
            one, other = (client, server) if who == "client" else (server, client)
            one.reset()
            assert other.is_closed()
        until(plane.is_at_rest, "at rest")


def test_silence_is_bounded_by_its_own_timeout_only() -> None:
    """The read time-out of the upstream is for answers; both may be silent for longer once they are upgraded."""
    config = gateway("{}", upstream=SHORT, route='upgrade_idle_timeout = "1500ms"\ntimeout = "500ms"')
    with Upstream() as upstream, Plane(config.replace("{}", upstream.address)) as plane:
        with upgraded(upstream, plane) as (client, server):
            server.send(b"a")
            client.exactly(1)
            time.sleep(0.9)
            client.send(b"b")
            assert server.exactly(1) == b"b"
            began = time.monotonic()
            assert client.is_closed()
            assert server.is_closed()
            assert time.monotonic() - began > 1.0
        until(plane.is_at_rest, "at rest")


@pytest.mark.parametrize("status", [200, 400, 426])
def test_answer_instead_of_an_upgrade_is_an_answer(status: int) -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            client.send(HANDSHAKE)
            with upstream.accept() as server:
                server.request()
                server.send(f"HTTP/1.1 {status} No\r\nContent-Length: 4\r\n\r\nnope".encode())
                answer = client.answer()
                assert (answer.status, answer.body) == (status, b"nope")
                client.send(GET)
                server.request()
                server.send(OK)
                assert client.answer().status == 200
        until(plane.is_at_rest, "at rest")
        assert "event" not in plane.log_records(2)[0]


@pytest.mark.parametrize(
    "switch",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_switch_to_something_else_is_a_failure_of_the_upstream(switch: bytes) -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            client.send(HANDSHAKE)
            with upstream.accept() as server:
                server.request()
                server.send(switch)
                answer = client.answer()
                assert server.is_closed()
        check_failure(plane, answer, 502, "http_upgrade_failed")


def test_route_without_upgrades_strips_the_request() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address, route="upgrade = false")) as plane:
        with plane.connect() as client:
            client.send(HANDSHAKE)
            with upstream.accept() as server:
                _, fields = server.head()
                assert not {"upgrade", "connection"} & {name.lower() for name, _ in fields}
                server.send(SWITCH)
                answer = client.answer()
        assert (answer.status, proxy_error(answer)) == (502, "http_protocol_error")
        until(plane.is_at_rest, "at rest")


@pytest.mark.parametrize("protocol", ["h2c", "websocket/13", "TLS/1.0", "websocket, h2c"])
def test_other_upgrades_never_go_through(protocol: str) -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            client.send(
                f"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\n"
                "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n".encode()
            )
            with upstream.accept() as server:
                _, fields = server.head()
                assert not {"upgrade", "connection", "http2-settings"} & {name.lower() for name, _ in fields}
                server.send(OK)
                assert client.answer().status == 200
        until(plane.is_at_rest, "at rest")


def test_upgrade_with_a_body_is_an_ordinary_request() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            client.send(HANDSHAKE.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nhello"))
            with upstream.accept() as server:
                _, fields, body = server.request()
                assert body == b"hello"
                assert "upgrade" not in {name.lower() for name, _ in fields}
                server.send(OK)
                assert client.answer().status == 200
        until(plane.is_at_rest, "at rest")


def test_exchange_after_a_tunnel_is_one_of_its_own() -> None:
    """The objects of a tunnel are used again: nothing of how it ended may be left in them."""
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        for _ in range(3):
            with upgraded(upstream, plane) as (client, server):
                server.sock.shutdown(socket.SHUT_WR)
                assert client.is_closed()
                client.close()
            until(plane.is_at_rest, "at rest")
        with plane.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 10\r\n\r\nhello")
            with upstream.accept() as server:
                server.head()
                server.exactly(5)
                # Answered before the request is whole: this connection can carry nothing else.
                server.send(OK)
                assert client.answer().status == 200
                assert server.is_closed()
            assert idle(plane) == 0
        until(plane.is_at_rest, "at rest")


# -- a real implementation on both sides -------------------------------------------------------------------------------


@contextlib.contextmanager
def echo_server() -> Iterator[str]:
    def echo(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            for message in connection:
                connection.send(message)

    with serve(echo, "127.0.0.1", 0, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def test_real_client_and_server() -> None:
    with echo_server() as address, Plane(gateway(address)) as plane:
        with connect(f"ws://127.0.0.1:{plane.port}/", max_size=None) as client:
            for message in ("hello", b"\x00\xff" * 10, "x" * 200, b"y" * 100_000, b"z" * 3_000_000):
                client.send(message)
                assert client.recv(timeout=60) == message
            client.ping().wait(10)
        until(plane.is_at_rest, "at rest")
        assert [record["event"] for record in plane.log_records(2)] == ["upgrade_opened", "upgrade_closed"]


def test_many_real_clients_at_once() -> None:
    failures: list[BaseException] = []

    def talk(number: int) -> None:
        try:
            with connect(f"ws://127.0.0.1:{plane.port}/{number}") as client:
                for i in range(20):
                    client.send(f"{number}/{i}")
                    assert client.recv(timeout=20) == f"{number}/{i}"
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    with echo_server() as address, Plane(gateway(address)) as plane:
        threads = [threading.Thread(target=talk, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        until(plane.is_at_rest, "at rest")
