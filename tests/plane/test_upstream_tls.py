"""TLS towards the servers of an upstream, with real handshakes."""

from __future__ import annotations

import _ssl
import contextlib
import ctypes
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from tests.plane.harness import Peer, Plane, Upstream, until
from tests.plane.serving import (
    GET,
    OK,
    POST,
    Fields,
    Handler,
    Serving,
    answering,
    check_failure,
    gateway,
    held,
    idle,
    proxy_error,
    upload,
)

pytestmark = pytest.mark.sanitize


class Authority:
    """Certificates of one root, as files."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.folder = folder
        self.root = folder / "root.pem"
        self.ca.cert_pem.write_to_path(self.root)

    def server(self, *names: str, client_root: Path | None = None) -> ssl.SSLContext:
        """What a server with these names uses; it asks for a client's certificate if it has a root for them."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names).configure_cert(context)
        if client_root is not None:
            context.load_verify_locations(client_root)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_files(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of a client."""
        cert = self.ca.issue_cert(name)
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.private_key_pem.write_to_path(key)
        for i, blob in enumerate(cert.cert_chain_pems):
            blob.write_to_path(chain, append=i > 0)
        return chain, key


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class TlsServing(Serving):
    """The same behind TLS."""

    def __init__(self, handler: Handler, context: ssl.SSLContext) -> None:
        self.context = context
        self.names: list[str | None] = []
        self.refused: list[str] = []
        context.sni_callback = lambda sock, name, _: self.names.append(name)
        super().__init__(handler)

    def peer(self, sock: socket.socket) -> Peer | None:
        try:
            return Peer(self.context.wrap_socket(sock, server_side=True))
        except OSError as error:
            self.refused.append(str(error))
            sock.close()
            return None


def tls(*settings: str) -> str:
    return f"tls = {{ {', '.join(settings)} }}"


def test_right_certificate_is_taken_and_the_connection_reused(authority: Authority) -> None:
    with (
        TlsServing(answering(), authority.server("127.0.0.1")) as serving,
        Plane(gateway(serving.address, upstream=tls(f'ca = "{authority.root}"'))) as plane,
    ):
        for _ in range(20):
            assert plane.get().body == b"ok"
        assert serving.accepted == 1
        until(plane.is_at_rest, "at rest")
        assert not plane.error_log.said


def test_verification_is_on_by_default(authority: Authority) -> None:
    with (
        TlsServing(answering(), authority.server("127.0.0.1")) as serving,
        Plane(gateway(serving.address, upstream="tls = {}")) as plane,
    ):
        answer = plane.get()
        check_failure(plane, answer, 502, "tls_certificate_error")
        assert serving.names == [None] or serving.refused
        assert plane.statistics().upstreams["a"][0].failures == 1


def test_certificate_for_another_name_is_refused(authority: Authority) -> None:
    with TlsServing(answering(), authority.server("other.test")) as serving:
        settings = tls(f'ca = "{authority.root}"', 'name = "orders.test"')
        with Plane(gateway(serving.address, upstream=settings)) as plane:
            check_failure(plane, plane.get(), 502, "tls_certificate_error")
            assert serving.names == ["orders.test"]


def test_name_that_is_configured_is_asked_for_and_expected(authority: Authority) -> None:
    with TlsServing(answering(), authority.server("orders.test")) as serving:
        settings = tls(f'ca = "{authority.root}"', 'name = "orders.test"')
        with Plane(gateway(serving.address, upstream=settings)) as plane:
            assert plane.get().body == b"ok"
            assert serving.names == ["orders.test"]


def test_verification_can_be_switched_off(authority: Authority) -> None:
    with (
        TlsServing(answering(), authority.server("whoever.test")) as serving,
        Plane(gateway(serving.address, upstream=tls("verify = false"))) as plane,
    ):
        assert plane.get().body == b"ok"


def test_refused_certificate_is_tried_at_another_endpoint(authority: Authority) -> None:
    """The handshake has sent bytes, but none of the request."""
    with (
        TlsServing(answering(), authority.server("other.test")) as wrong,
        TlsServing(answering(), authority.server("127.0.0.1")) as right,
        Plane(gateway(wrong.address, right.address, upstream=tls(f'ca = "{authority.root}"'))) as plane,
    ):
        for _ in range(6):
            with plane.connect() as client:
                client.send(POST)
                assert client.answer().status == 200
        until(plane.is_at_rest, "at rest")


def test_client_certificate(authority: Authority) -> None:
    chain, key = authority.client_files("gateway.test")

    def who(peer: Peer, line: str, fields: Fields, body: bytes) -> None:
        certificate = peer.sock.getpeercert()  # type: ignore[attr-defined]
        name = certificate["subjectAltName"][0][1].encode()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))

    with TlsServing(who, authority.server("127.0.0.1", client_root=authority.root)) as serving:
        settings = tls(f'ca = "{authority.root}"', f'cert = "{chain}"', f'key = "{key}"')
        with Plane(gateway(serving.address, upstream=settings)) as plane:
            assert plane.get().body == b"gateway.test"
        with Plane(gateway(serving.address, upstream=tls(f'ca = "{authority.root}"'))) as plane:
            answer = plane.get()
            assert (answer.status, proxy_error(answer)) == (502, "tls_alert_received")
            until(plane.is_at_rest, "at rest")


def test_plain_server_behind_tls() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream="tls = { verify = false }")) as plane:
        with plane.connect() as client:
            client.send(GET)
            with upstream.accept() as server:
                server.sock.recv(10)
                server.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                answer = client.answer()
        check_failure(plane, answer, 502, "tls_protocol_error")


@pytest.mark.parametrize("end", ["close", "reset", "silence"])
def test_server_that_never_finishes_the_handshake(end: str) -> None:
    config = 'tls = { verify = false }\nconnect_timeout = "300ms"'
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream=config)) as plane:
        with plane.connect() as client:
            client.send(GET)
            with upstream.accept() as server:
                server.sock.recv(10)
                if end == "close":
                    server.close()
                elif end == "reset":
                    server.reset()
                answer = client.answer()
        if end == "silence":
            check_failure(plane, answer, 504, "connection_timeout")
        else:
            check_failure(plane, answer, 502, "connection_terminated")


def test_large_bodies_both_ways_at_once(authority: Authority) -> None:
    blob = bytes(range(256)) * 40_000  # 10 MB

    def echo(peer: Peer, line: str, fields: Fields, body: bytes) -> None:
        assert body == blob
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        peer.send(body)

    with (
        TlsServing(echo, authority.server("127.0.0.1")) as serving,
        Plane(gateway(serving.address, upstream=tls(f'ca = "{authority.root}"'))) as plane,
    ):
        for _ in range(2):
            with plane.connect() as client:
                client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(blob))
                sending = threading.Thread(target=client.send, args=(blob,))
                sending.start()
                body = exactly(client, len(blob))
                sending.join()
                assert body == blob
        assert serving.accepted == 1
        until(plane.is_at_rest, "at rest")


def exactly(client: Peer, size: int) -> bytes:
    """The body of the next answer, without searching it again for every piece."""
    client.head()
    pieces = [client.buffer]
    left = size - len(client.buffer)
    client.buffer = b""
    while left:
        pieces.append(client.sock.recv(min(left, 1 << 20)))
        assert pieces[-1]
        left -= len(pieces[-1])
    return b"".join(pieces)


def test_answer_that_ends_with_the_connection_needs_the_closing_alert(authority: Authority) -> None:
    """Without close_notify anybody on the way could have cut it."""
    for is_proper in (True, False):
        context = authority.server("127.0.0.1")

        def handle(peer: Peer, line: str, fields: Fields, body: bytes, is_proper: bool = is_proper) -> bool:
            peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
            if is_proper:
                peer.sock.unwrap()  # type: ignore[attr-defined]
            return True

        with (
            TlsServing(handle, context) as serving,
            Plane(gateway(serving.address, upstream=tls(f'ca = "{authority.root}"'))) as plane,
        ):
            with plane.connect() as client:
                client.send(GET)
                if is_proper:
                    assert client.answer().body == b"all of it"
                else:
                    with pytest.raises((EOFError, ConnectionResetError)):
                        client.answer()
            until(plane.is_at_rest, "at rest")


def test_idle_tls_connection_that_is_closed_is_not_used_again(authority: Authority) -> None:
    def once(peer: Peer, line: str, fields: Fields, body: bytes) -> bool:
        peer.send(OK)
        return True

    with (
        TlsServing(once, authority.server("127.0.0.1")) as serving,
        Plane(gateway(serving.address, upstream=tls(f'ca = "{authority.root}"'))) as plane,
    ):
        for i in range(5):
            assert plane.get().body == b"ok"
            until(lambda: idle(plane) == 0, "closed")
            assert serving.accepted == i + 1


def test_upload_that_is_refused_early_through_tls(authority: Authority) -> None:
    context = authority.server("127.0.0.1")
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream=tls(f'ca = "{authority.root}"'))) as plane:
        with plane.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
            sending = upload(client, 20_000_000)
            raw = upstream.listening.accept()[0]
            with Peer(context.wrap_socket(raw, server_side=True)) as server:
                server.head()
                server.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
                answer = client.answer()
            assert (answer.status, answer.body) == (413, b"no")
            sending.join()
        until(plane.is_at_rest, "at rest")


class Records:
    """The server's side of TLS on one connection, where the test says when which bytes are sent."""

    def __init__(self, peer: Peer, context: ssl.SSLContext) -> None:
        self.peer = peer
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait_for(self.session.do_handshake)

    def _wait_for(self, step: Callable[[], bytes | None]) -> bytes | None:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.flush()
                self.incoming.write(self.peer.sock.recv(65536))
            finally:
                self.flush()

    def flush(self) -> None:
        self.peer.send(self.outgoing.read())

    def head(self) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._wait_for(lambda: self.session.read(65536)) or b""
        return data

    def encrypted(self, data: bytes) -> bytes:
        self.session.write(data)
        return self.outgoing.read()

    def new_key(self) -> bytes:
        """The record that says so; Python has no call for it."""
        library = ctypes.CDLL(_ssl.__file__)  # it is linked against OpenSSL
        inner = self.session._sslobj  # type: ignore[attr-defined]
        # PyObject_HEAD, the socket, SSL*
        pointer = ctypes.c_void_p.from_address(id(inner) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p))
        if sys.implementation.name != "cpython" or library.SSL_version(pointer) != 0x0304:
            pytest.skip("the structure behind an SSLObject is another one here")
        assert library.SSL_key_update(pointer, 1) == 1  # the gateway is to change its own too
        self.session.do_handshake()
        return self.outgoing.read()


def test_new_key_between_two_requests_closes_nothing(authority: Authority) -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream=tls(f'ca = "{authority.root}"'))) as plane:
        with plane.connect() as client:
            client.send(GET)
            with upstream.accept() as peer:
                server = Records(peer, authority.server("127.0.0.1"))
                for i in range(20):
                    assert server.head().startswith(b"GET")
                    # Even behind the answer, in the same segment, it is said to TLS only.
                    peer.send(server.encrypted(OK) + (server.new_key() if i % 3 == 0 else b""))
                    assert client.answer().body == b"ok"
                    until(lambda: idle(plane) == 1, "the connection rests")
                    with held(plane):
                        client.send(GET)
                        if i % 3 == 1:
                            peer.send(server.new_key())
                assert server.head().startswith(b"GET")
                peer.send(server.encrypted(OK))
                assert client.answer().body == b"ok"
        until(plane.is_at_rest, "at rest")
        assert [(pool.dialled, pool.reused) for pool in plane.statistics().pools] == [(1, 20)]


def events(plane: Plane) -> int:
    return int(plane.call(lambda: plane.server.reactor.events_seen))


@pytest.mark.parametrize("size", [1, 4, 5, 6, 40])
def test_part_of_a_record_between_two_requests_is_part_of_no_answer(authority: Authority, size: int) -> None:
    context = authority.server("127.0.0.1")
    with (
        Upstream() as upstream,
        Plane(gateway(upstream.address, upstream=tls(f'ca = "{authority.root}"'))) as plane,
        plane.connect() as client,
    ):
        client.send(GET)
        with upstream.accept() as peer:
            server = Records(peer, context)
            assert server.head().startswith(b"GET")
            peer.send(server.encrypted(OK))
            assert client.answer().body == b"ok"
            until(lambda: idle(plane) == 1, "the connection rests")
            stale = server.encrypted(OK.replace(b"ok", b"no"))
            # The event of these bytes has come and gone: nothing says any more that there are some.
            before = events(plane)
            peer.send(stale[:size])
            until(lambda: events(plane) > before, "they have been read")
            client.send(GET)
            with upstream.accept() as second:
                other = Records(second, context)
                assert other.head().startswith(b"GET")
                with contextlib.suppress(OSError):
                    peer.send(stale[size:])
                second.send(other.encrypted(OK))
                assert client.answer().body == b"ok"
