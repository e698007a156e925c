"""TLS as a real client meets it: what is spoken, what is refused, and bodies that stay whole."""

import hashlib
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.plane.client_side import GET, OK, at_rest, is_refused, nobody_called, one_upstream, problem_type
from tests.plane.harness import Peer, Plane, Upstream, until

from tidegate.edge.tls import ServerTls

pytestmark = pytest.mark.sanitize

CA = trustme.CA()
NAME = "gateway.test"
# The time of a head holds for the handshake too: a machine that others use may take a while for that.
QUICK = 'head_timeout = "2s"\nbody_timeout = "500ms"\nidle_timeout = "300ms"\nlingering_timeout = "500ms"'
BIG = 24 << 20


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The listener's lines for two certificates."""
    folder = tmp_path_factory.mktemp("certificates")
    both = [write(folder, "first", NAME), write(folder, "other", "other.test")]
    return f"tls = {{ certificates = [{', '.join(both)}] }}"


def write(folder: Path, label: str, *names: str) -> str:
    issued = CA.issue_cert(*names)
    cert, key = folder / f"{label}.pem", folder / f"{label}.key"
    cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    return f'{{ cert = "{cert}", key = "{key}" }}'


def context() -> ssl.SSLContext:
    made = ssl.create_default_context()
    CA.configure_trust(made)
    return made


def secure(plane: Plane, name: str = NAME, made: ssl.SSLContext | None = None) -> Peer:
    sock = socket.create_connection((plane.host, plane.port), timeout=60)
    try:
        # Without the flag the module itself takes a cut for an end.
        return Peer((made or context()).wrap_socket(sock, server_hostname=name, suppress_ragged_eofs=False))
    except BaseException:
        sock.close()
        raise


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def plane(upstream: Upstream, files: str) -> Iterator[Plane]:
    with Plane(one_upstream(upstream), files) as plane:
        yield plane
        at_rest(plane)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_request_goes_through(plane: Plane, upstream: Upstream, version: ssl.TLSVersion) -> None:
    made = context()
    made.maximum_version = made.minimum_version = version
    with secure(plane, made=made) as client, upstream_of(client, upstream, GET) as server:
        _, fields, _ = server.request()
        assert ("X-Forwarded-Proto", "https") in fields
        server.send(OK)
        assert client.answer().body == b"ok"
        client.send(GET)
        server.request()
        server.send(OK)
        assert client.answer().body == b"ok"
    assert plane.counters()["tls_handshakes"] == 1


def upstream_of(client: Peer, upstream: Upstream, request: bytes) -> Peer:
    client.send(request)
    return upstream.accept()


def test_protocol_and_certificate_are_what_the_client_asks_for(plane: Plane) -> None:
    made = context()
    made.set_alpn_protocols(["h2", "http/1.1"])
    for name in (NAME, "other.test"):
        with secure(plane, name, made) as client:
            assert isinstance(client.sock, ssl.SSLSocket)
            assert client.sock.selected_alpn_protocol() == "http/1.1"
            shown = client.sock.getpeercert()
            assert shown
            assert shown["subjectAltName"] == (("DNS", name),)


def test_tls_1_1_is_refused(plane: Plane) -> None:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        made.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        made.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        secure(plane, made=made)
    until(lambda: plane.statistics().connections == 0, "gone")
    assert plane.counters()["tls_failures"] == 1


@pytest.mark.parametrize("said", [b"\0" * 500, b"\x16\x03\x01\xff\xff" + b"x" * 300, b"\x16\x03\x01\0\x05hello"])
def test_what_is_no_handshake_is_refused(plane: Plane, upstream: Upstream, said: bytes) -> None:
    """Noise, and records that are none."""
    with plane.connect() as client:
        client.send(said)
        client.sock.shutdown(socket.SHUT_WR)
        try:
            answer = client.rest()
        except ConnectionResetError:
            answer = b""
        assert b"HTTP/1" not in answer
    until(lambda: plane.statistics().connections == 0, "gone")
    assert plane.counters()["tls_failures"] == 1
    assert "tls_handshake_failed" in plane.error_log.kinds()
    assert nobody_called(upstream)


@pytest.mark.parametrize("size", [1, 0, 300_000])
def test_plain_http_is_told_so_in_plain_text(plane: Plane, upstream: Upstream, size: int) -> None:
    """Even who sends more than was read hears it: the close that follows is no reset."""
    said = GET[:size] if 0 < size < len(GET) else GET + b"x" * size
    for _ in range(20):
        with plane.connect() as client:
            client.send(said)
            answer = client.answer()
            assert (answer.status, answer.reason) == (400, "Bad Request")
            assert answer.get("Content-Type") == "text/plain"
            assert answer.get("Connection") == "close"
            assert b"HTTPS" in answer.body
            assert client.is_closed()
    until(lambda: plane.statistics().connections == 0, "gone")
    assert plane.counters()["tls_failures"] == 20
    assert set(plane.error_log.kinds()) == {"plain_http_to_tls"}
    assert plane.statistics().faults == 0
    assert nobody_called(upstream)
    with secure(plane) as client:  # and who speaks TLS is served as before
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().status == 200


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"])
def test_handshake_that_does_not_come_is_given_up(upstream: Upstream, files: str, said: bytes) -> None:
    with Plane(one_upstream(upstream), files + '\nhead_timeout = "300ms"') as plane:
        with plane.connect() as client:
            client.send(said)
            began = time.monotonic()
            assert client.is_closed()
            assert time.monotonic() - began < 9  # 10 s by default
        at_rest(plane)


@pytest.mark.parametrize("after", [1, 100])
def test_reset_in_the_middle_of_a_handshake(plane: Plane, after: int) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = context().wrap_bio(incoming, outgoing, server_hostname=NAME)
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    client = plane.connect()
    hello = outgoing.read()
    client.send(hello[:after] if after == 1 else hello)
    if after != 1:
        client.sock.recv(10)
    client.reset()
    until(lambda: plane.statistics().connections == 0, "gone")


def test_silence_after_the_handshake_ends_with_a_close_notify(upstream: Upstream, files: str) -> None:
    with Plane(one_upstream(upstream), files + "\n" + QUICK) as plane:
        with secure(plane) as client:
            assert client.rest() == b""  # an end without close_notify would be an SSLError
        at_rest(plane)


def test_connection_close_ends_with_a_close_notify(plane: Plane, upstream: Upstream) -> None:
    with secure(plane) as client:
        request = b"GET / HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n"
        with upstream_of(client, upstream, request) as server:
            server.request()
            server.send(OK)
            assert client.answer().body == b"ok"
            assert client.rest() == b""


def test_cut_answer_ends_without_a_close_notify(plane: Plane, upstream: Upstream) -> None:
    """To a client of HTTP/1.0 the end of the connection is the end of the body."""
    with secure(plane) as client, upstream_of(client, upstream, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n") as server:
        server.request()
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        client.until(b"abc")
        server.close()
        with pytest.raises(OSError, match=r"reset|EOF"):
            client.rest()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_download_arrives_as_it_was_sent(plane: Plane, upstream: Upstream, framing: str) -> None:
    body = os.urandom(1 << 20) * (BIG >> 20)
    with secure(plane) as client, upstream_of(client, upstream, GET) as server:
        server.request()
        if framing == "length":
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        else:
            answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            answer += b"".join(
                b"%x\r\n%b\r\n" % (len(piece), piece)
                for piece in (body[i : i + 77_777] for i in range(0, len(body), 77_777))
            )
            answer += b"0\r\n\r\n"
        sending = threading.Thread(target=server.send, args=(answer,))
        sending.start()
        line, _ = client.head()
        got = hashlib.blake2b()
        if framing == "length":
            left = len(body)
            while left:
                piece = client.buffer or client.sock.recv(1 << 20)
                client.buffer = b""
                got.update(piece)
                left -= len(piece)
        else:
            got.update(client.chunked_body())
        sending.join()
        assert line == "HTTP/1.1 200 OK"
        assert got.digest() == hashlib.blake2b(body).digest()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_upload_arrives_as_it_was_sent(plane: Plane, upstream: Upstream, framing: str) -> None:
    body = os.urandom(1 << 20) * 8
    with secure(plane) as client:
        if framing == "length":
            request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        else:
            request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            request += b"".join(
                b"%x\r\n%b\r\n" % (len(piece), piece)
                for piece in (body[i : i + 50_001] for i in range(0, len(body), 50_001))
            )
            request += b"0\r\n\r\n"
        sending = threading.Thread(target=client.send, args=(request,))
        sending.start()
        with upstream.accept() as server:
            _, _, got = server.request()
            sending.join()
            server.send(OK)
            assert client.answer().status == 200
    assert hashlib.blake2b(got).digest() == hashlib.blake2b(body).digest()


def test_records_of_every_size_arrive(plane: Plane, upstream: Upstream) -> None:
    """Byte by byte, and many requests in one record."""
    with secure(plane) as client:
        for byte in GET:
            client.send(bytes([byte]))
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().body == b"ok"
            client.send(GET * 100)
            for _ in range(100):
                server.request()
                server.send(OK)
                assert client.answer().body == b"ok"


def test_client_that_reads_slowly_gets_it_all(upstream: Upstream, files: str) -> None:
    size = 3 << 20
    with Plane(one_upstream(upstream), files + "\n" + QUICK) as plane:
        plane.listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.connect((plane.host, plane.port))
        client = Peer(context().wrap_socket(sock, server_hostname=NAME))
        with client, upstream_of(client, upstream, GET) as server:
            server.request()
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"y" * size
            sending = threading.Thread(target=server.send, args=(answer,))
            sending.start()
            client.head()
            left = size - len(client.buffer)
            while left:
                left -= len(client.sock.recv(32768))
                time.sleep(0.007)  # slower than the upstream: 0.7 s in all, more than one wait may take
            sending.join()
        at_rest(plane)


def test_client_that_never_reads_is_cut_off(upstream: Upstream, files: str) -> None:
    with Plane(one_upstream(upstream), files + "\n" + QUICK) as plane:
        with secure(plane) as client, upstream_of(client, upstream, GET) as server:
            server.request()
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                server.send(b"x" * 100_000_000)
        at_rest(plane)


def test_refused_upload_hears_why_every_time(upstream: Upstream, files: str) -> None:
    """What comes behind our close_notify must not be taken for an error, which would end in a reset."""
    body = b"u" * (2 << 20)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    with Plane(one_upstream(upstream), files + '\nmax_body = "1KiB"') as plane:
        for _ in range(30):
            with secure(plane) as client:
                client.send(head)
                try:
                    client.send(body)
                except ssl.SSLError:
                    pytest.fail("cut off while it was sending")
                answer = client.answer()
                assert (answer.status, problem_type(answer)) == (413, "body_too_large")
        assert nobody_called(upstream)
        at_rest(plane)


def test_slow_head_is_answered_408(upstream: Upstream, files: str) -> None:
    with Plane(one_upstream(upstream), files + "\n" + QUICK) as plane:
        with secure(plane) as client:
            client.send(GET[:-1])
            is_refused(client, 408, "head_timeout")
        at_rest(plane)


def test_damaged_record_ends_the_exchange(plane: Plane, upstream: Upstream) -> None:
    sock = socket.create_connection((plane.host, plane.port), timeout=60)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    end = context().wrap_bio(incoming, outgoing, server_hostname=NAME)
    with sock:
        while True:
            try:
                end.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        sock.sendall(outgoing.read())
        end.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
        good = outgoing.read()
        end.write(b"world")
        damaged = bytearray(outgoing.read())
        damaged[-1] ^= 1
        sock.sendall(good + bytes(damaged))
        with upstream.accept() as server:
            try:
                seen = server.rest()
            except ConnectionResetError:
                seen = server.buffer
            assert b"world" not in seen
    until(lambda: plane.statistics().connections == 0, "gone")


def test_half_close_after_the_request_is_no_abort(plane: Plane, upstream: Upstream) -> None:
    sock = socket.create_connection((plane.host, plane.port), timeout=60)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    end = context().wrap_bio(incoming, outgoing, server_hostname=NAME)
    with sock:
        while True:
            try:
                end.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        end.write(GET)
        with pytest.raises(ssl.SSLWantReadError):
            end.unwrap()
        sock.sendall(outgoing.read())
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            answer = b""
            while not answer.endswith(b"ok"):
                data = sock.recv(65536)
                assert data, answer
                incoming.write(data)
                try:
                    answer += end.read(65536)
                except ssl.SSLWantReadError:
                    continue


def test_reset_while_it_waits_is_an_abort(plane: Plane, upstream: Upstream) -> None:
    client = secure(plane)
    with upstream_of(client, upstream, GET) as server:
        server.request()
        sock = socket.socket(fileno=client.sock.detach())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        assert server.is_closed()


def test_renewed_certificate_is_shown_to_who_comes_next(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a signal; connections that are there go on with what they began with."""
    monkeypatch.setattr(ServerTls.keep_current, "__defaults__", (0.1,))
    lines = f"tls = {{ certificates = [{write(tmp_path, 'first', NAME, 'before.test')}] }}"
    with Plane(one_upstream(upstream), lines) as plane:
        with secure(plane, "before.test") as first:
            write(tmp_path, "first", NAME, "after.test")

            def is_shown() -> bool:
                try:
                    secure(plane, "after.test").close()
                except ssl.SSLCertVerificationError:
                    return False
                return True

            until(is_shown, "the new certificate")
            with upstream_of(first, upstream, GET) as server:
                server.request()
                server.send(OK)
                assert first.answer().body == b"ok"
        at_rest(plane)
