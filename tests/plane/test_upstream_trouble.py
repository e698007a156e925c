"""An upstream that does not do what it should, met with real sockets: what the client gets, what the log says, and that
nothing is left behind."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.plane.harness import REFUSING, Peer, Plane, Upstream, small_buffers, until
from tests.plane.serving import (
    GET,
    OK,
    POST,
    Serving,
    answering,
    check_failure,
    gateway,
    idle,
    proxy_error,
    serve_one,
    upload,
)

pytestmark = pytest.mark.sanitize

SHORT = 'read_timeout = "300ms"\nconnect_timeout = "300ms"'

Script = Callable[[Peer], object]


def says(*pieces: bytes, then: str = "") -> Script:
    def run(server: Peer) -> None:
        for piece in pieces:
            server.send(piece)
        if then == "close":
            server.close()
        elif then == "reset":
            server.reset()

    return run


BEFORE_AN_ANSWER = {
    "closes": (says(then="close"), 502, "connection_terminated"),
    "resets": (says(then="reset"), 502, "connection_terminated"),
    "half a head": (says(b"HTTP/1.1 200 OK\r\nConte", then="close"), 502, "http_response_incomplete"),
    "half a head, reset": (says(b"HTTP/1.1 200 OK\r\nConte", then="reset"), 502, "connection_terminated"),
    "an interim answer and no other": (
        says(b"HTTP/1.1 100 Continue\r\n\r\n", then="close"),
        502,
        "http_response_incomplete",
    ),
    "garbage": (says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), 502, "http_protocol_error"),
    "binary garbage": (says(bytes(range(256)) * 8), 502, "http_protocol_error"),
    "bare line feeds": (says(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"), 502, "http_protocol_error"),
    "two lengths": (
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        502,
        "http_protocol_error",
    ),
    "both framings": (
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        502,
        "http_protocol_error",
    ),
    "another coding": (
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        502,
        "http_response_transfer_coding",
    ),
    "a head without end": (
        says(b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"x" * 8189 + b"\r\n"] * 17),
        502,
        "http_response_header_section_size",
    ),
    "too many fields": (
        says(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 200, b"\r\n"),
        502,
        "http_response_header_section_size",
    ),
    "101 unasked": (
        says(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
        502,
        "http_protocol_error",
    ),
    "nothing": (says(), 504, "http_response_timeout"),
    "half a head, then nothing": (says(b"HTTP/1.1 200 OK\r\nConte"), 504, "connection_read_timeout"),
}


@pytest.mark.parametrize("case", BEFORE_AN_ANSWER)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_failure_before_an_answer(case: str, method: str) -> None:
    script, status, kind = BEFORE_AN_ANSWER[case]
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream=SHORT)) as plane:
        with plane.connect() as client:
            client.send(GET if method == "GET" else POST)
            with upstream.accept() as server:
                server.request()
                script(server)
                answer = client.answer()
                # The client's connection is as good as before.
                client.send(GET)
                with upstream.accept() as again:
                    again.request()
                    again.send(OK)
                    assert client.answer().body == b"ok"
        check_failure(plane, answer, status, kind, records=2)
        assert f"upstream_{kind}" in plane.error_log.kinds()


def test_garbage_is_never_asked_for_twice() -> None:
    """A second endpoint is no reason to send again what the first has answered, however badly."""
    with Upstream() as one, Upstream() as two:
        config = gateway(one.address, two.address, upstream='balance = "round_robin"')
        with Plane(config) as plane:
            for _ in range(2):
                with plane.connect() as client:
                    client.send(POST)
                    first, second = one.listening, two.listening
                    first.settimeout(0.5)
                    try:
                        server = one.accept()
                    except TimeoutError:
                        server = two.accept()
                    with server:
                        server.request()
                        server.send(b"nonsense\r\n\r\n")
                        assert client.answer().status == 502
                    first.settimeout(10)
                    second.settimeout(10)
            assert sum(pool.dialled for pool in plane.statistics().pools) == 2
            assert plane.counters()["upstream_retries"] == 0


def test_refused_connection() -> None:
    with Plane(gateway(REFUSING)) as plane:
        answer = plane.get()
        check_failure(plane, answer, 502, "connection_refused")
        assert f'next-hop="{REFUSING}"' in (answer.get("Proxy-Status") or "")


def test_connection_that_is_never_completed() -> None:
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # the queue is full: the kernel drops what comes
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with Plane(gateway(address, upstream=SHORT)) as plane:
            check_failure(plane, plane.get(), 504, "connection_timeout")


def test_name_that_does_not_resolve() -> None:
    with Plane(gateway("no-such-name.invalid:80")) as plane:
        answer = plane.get()
        check_failure(plane, answer, 503, "dns_error")


def test_missing_unix_socket(tmp_path: Path) -> None:
    with Plane(gateway(f"unix:{tmp_path}/nobody")) as plane:
        check_failure(plane, plane.get(), 502, "connection_refused")


# -- cut answers -------------------------------------------------------------------------------------------------------

HALVES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf \r\n",
    "inside a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf ",
    "no last chunk's end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf \r\n0\r\n",
    "chunk that lies": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf too long\r\n0\r\n\r\n",
    "no chunk at all": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhalf",
}


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_half_an_answer_cannot_be_taken_for_a_whole_one(half: str, version: str, end: str) -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            client.send(f"GET / HTTP/{version}\r\nHost: gateway.test\r\n\r\n".encode())
            with upstream.accept() as server:
                server.request()
                head, body = HALVES[half].split(b"\r\n\r\n", 1)
                server.send(head + b"\r\n\r\n")
                client.sock.recv(1, socket.MSG_PEEK)  # the client has the head
                server.send(body)
                with contextlib.suppress(OSError):  # it may have been closed for what it said
                    server.close() if end == "close" else server.reset()
                # An HTTP/1.0 client reads what came in chunks until the connection closes: only a reset tells it.
                until_closed = version == "1.0" and half != "length"
                with pytest.raises(ConnectionResetError if until_closed else (EOFError, ConnectionResetError)):
                    client.answer()
        until(plane.is_at_rest, "at rest")
        (record,) = plane.log_records(1)
        assert record["status"] == 200
        assert record["error"] in ("http_response_incomplete", "http_protocol_error", "connection_terminated")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_answer_that_ends_with_its_connection_is_whole_unless_that_was_reset(version: str, end: str) -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            client.send(f"GET / HTTP/{version}\r\nHost: gateway.test\r\n\r\n".encode())
            with upstream.accept() as server:
                server.request()
                server.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
                client.until(b"\r\n\r\n")
                if end == "close":
                    server.close()
                    assert (client.rest() if version == "1.0" else client.chunked_body()) == b"all of it"
                else:
                    client.until(b"all of it")
                    server.reset()
                    with pytest.raises(ConnectionResetError if version == "1.0" else (EOFError, ConnectionResetError)):
                        client.rest() if version == "1.0" else client.until(b"0\r\n")
        until(plane.is_at_rest, "at rest")


def test_wrong_framing_that_comes_with_the_head_is_an_answer_of_the_gateway() -> None:
    config = gateway("{}", route='response_headers = { add = { "X-Once" = "1" } }')
    with Upstream() as upstream, Plane(config.replace("{}", upstream.address)) as plane:
        with plane.connect() as client:
            client.send(GET)
            with upstream.accept() as server:
                server.request()
                server.send(HALVES["no chunk at all"])
                answer = client.answer()
                assert server.is_closed()
        check_failure(plane, answer, 502, "http_protocol_error")
        assert answer.get("Content-Length") == str(len(answer.body))
        assert answer.get_all("X-Once") == ["1"]


# -- connections that rest ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["close", "reset", "speak"])
def test_idle_connection_that_is_touched_is_never_used_again(end: str) -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            with serve_one(upstream, client, plane) as server:
                if end == "close":
                    server.close()
                elif end == "reset":
                    server.reset()
                else:
                    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
                    assert server.is_closed()
                until(lambda: idle(plane) == 0, "the connection is gone")
            with serve_one(upstream, client, plane):
                pass
        until(plane.is_at_rest, "at rest")
        assert not plane.error_log.said


@pytest.mark.parametrize(
    "trailing",
    [
        OK + OK,
        OK + b"\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 304 x\r\n\r\nhello",
    ],
)
def test_connection_with_bytes_behind_the_answer_is_closed(trailing: bytes) -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            client.send(GET)
            with upstream.accept() as server:
                server.request()
                server.send(trailing)
                answer = client.answer()
                assert answer.status in (200, 204, 304)
                if answer.status == 204:
                    assert answer.get("Content-Length") is None  # who believes it would wait for five bytes
                assert server.is_closed()
            with serve_one(upstream, client, plane):
                pass
        until(plane.is_at_rest, "at rest")


def test_head_answer_keeps_its_length_and_its_connection() -> None:
    with (
        Upstream() as upstream,
        Plane(gateway(upstream.address)) as plane,
        plane.connect() as client,
        serve_one(upstream, client, plane) as server,
    ):
        client.send(b"HEAD / HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
        server.request()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        answer = client.answer(to="HEAD")
        assert (answer.get("Content-Length"), answer.body) == ("1000", b"")
        client.send(GET)
        server.request()
        server.send(OK)
        assert client.answer().body == b"ok"


# -- interim answers ---------------------------------------------------------------------------------------------------


def test_interim_answers_go_to_who_understands_them() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nContent-Length: 9\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n"
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client, plane.connect() as old:
            client.send(GET)
            with upstream.accept() as server:
                server.request()
                server.send(b"HTTP/1.1 100 Continue\r\n\r\n" + hints + b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 2")
                interim = client.answer()
                assert (interim.status, interim.reason) == (103, "Early Hints")
                assert interim.headers == [("Link", "</a.css>")]
                assert client.answer().status == 102
                server.send(OK[len("HTTP/1.1 2") :])
                assert client.answer().body == b"ok"
                old.send(b"GET / HTTP/1.0\r\n\r\n")
                server.request()
                server.send(hints + OK)
                assert old.answer().body == b"ok"
        until(plane.is_at_rest, "at rest")


def test_flood_of_interim_answers_is_not_stored_for_a_client_that_does_not_read() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 8000 + b"\r\n\r\n"
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            client.send(GET)
            with upstream.accept() as server:
                small_buffers(client, server)
                server.request()
                for _ in range(5000):
                    server.send(hint)
                server.send(OK)
                got, end = 0, b""
                while not end.endswith(b"\r\n\r\nok"):
                    data = client.sock.recv(65536)
                    assert data
                    got += len(data)
                    end = (end + data)[-10:]
                assert got < 20 << 20  # of 40 MB
        until(plane.is_at_rest, "at rest")


# -- uploads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["keeps open", "close with bytes unread"])
@pytest.mark.parametrize("framing", ["length", "close"])
def test_answer_to_half_an_upload_reaches_the_client(end: str, framing: str) -> None:
    size = 20_000_000
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 100000\r\n\r\n" + b"n" * 100_000
    if framing == "close":
        refusal = refusal.replace(b"Content-Length: 100000\r\n", b"")
        if end == "keeps open":
            pytest.skip("such an answer ends with its connection")
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            client.send(f"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {size}\r\n\r\n".encode())
            sending = upload(client, size)
            with upstream.accept() as server:
                server.head()
                server.exactly(100_000)
                server.send(refusal)
                if framing == "close":
                    # A reset at the end would say that it was cut: it ends its half, reads on, and then closes.
                    server.sock.shutdown(socket.SHUT_WR)
                if end != "keeps open" and framing == "length":
                    server.close()
                answer = client.answer()
                assert answer.status == 413
                assert answer.body == b"n" * 100_000
            sending.join()
        until(plane.is_at_rest, "at rest")
        (record,) = plane.log_records(1)
        assert record["upstream_status"] == record["status"] == 413


def test_upstream_that_reads_nothing_of_a_big_upload() -> None:
    size = 40_000_000
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream=SHORT)) as plane:
        with plane.connect() as client:
            client.send(f"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {size}\r\n\r\n".encode())
            sending = upload(client, size)
            with upstream.accept():
                answer = client.answer()
            sending.join()
        check_failure(plane, answer, 504, "connection_write_timeout")


def test_upstream_that_reads_slowly_is_not_silent(tmp_path: Path) -> None:
    """Each pause is shorter than the time-out, emptying what the gateway holds takes longer."""
    size = 6_000_000
    # A unix socket: it holds 200 KB where TCP may hold megabytes, and the kernel tells of each piece that is taken.
    with (
        Upstream(path=f"{tmp_path}/socket") as upstream,
        Plane(gateway(upstream.address, upstream='read_timeout = "1s"')) as plane,
    ):
        with plane.connect() as client:
            client.send(f"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {size}\r\n\r\n".encode())
            sending = upload(client, size)
            with upstream.accept() as server:
                server.head()
                left = size - len(server.buffer)
                for _ in range(20):
                    left -= len(server.sock.recv(40_000))
                    time.sleep(0.07)
                while left:
                    piece = server.sock.recv(65536)
                    assert piece, f"cut off with {left} bytes to come"
                    left -= len(piece)
                server.send(OK)
                assert client.answer().status == 200
            sending.join()
        until(plane.is_at_rest, "at rest")


def test_slow_client_is_not_the_upstreams_silence() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream=SHORT)) as plane:
        with plane.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 10\r\n\r\nhello")
            with upstream.accept() as server:
                server.head()
                server.exactly(5)
                time.sleep(0.7)
                client.send(b"world")
                assert server.exactly(5) == b"world"
                server.send(OK)
                assert client.answer().status == 200
        until(plane.is_at_rest, "at rest")


# -- slow and endless answers ------------------------------------------------------------------------------------------


def test_slow_answer_may_take_longer_than_the_read_timeout_in_all() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream=SHORT)) as plane:
        with plane.connect() as client:
            client.send(GET)
            with upstream.accept() as server:
                server.request()
                for piece in (b"HTTP/1.1 200 ", b"OK\r\nContent-", b"Length: 4\r\n\r\n", b"a", b"b", b"c", b"d"):
                    time.sleep(0.12)
                    server.send(piece)
                assert client.answer().body == b"abcd"
        until(plane.is_at_rest, "at rest")


def test_silence_in_the_middle_of_an_answer() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream=SHORT)) as plane:
        with plane.connect() as client:
            client.send(GET)
            with upstream.accept() as server:
                server.request()
                server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ")
                with pytest.raises((EOFError, ConnectionResetError)):
                    client.answer()
        until(plane.is_at_rest, "at rest")
        (record,) = plane.log_records(1)
        assert (record["status"], record["error"]) == (200, "connection_read_timeout")


def delivers(server: Peer, data: bytes) -> bool:
    try:
        server.send(data)
    except OSError:
        return False
    return True


def test_client_that_leaves_an_endless_answer_ends_it_upstream() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        client = plane.connect()
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.head()
            client.reset()
            until(lambda: not delivers(server, b"1000\r\n" + b"x" * 4096 + b"\r\n"), "the upstream is told")
        until(plane.is_at_rest, "at rest")
        (record,) = plane.log_records(1)
        assert record["error"] == "connection_terminated"


def test_client_that_leaves_before_the_answer_ends_the_request_upstream() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        client = plane.connect()
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            client.reset()
            assert server.is_closed()
        until(plane.is_at_rest, "at rest")
        assert plane.counters()["client_aborts"] == 1


def test_whole_exchange_has_a_deadline() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address, route='timeout = "300ms"')) as plane:
        with plane.connect() as client:
            client.send(GET)
            with upstream.accept() as server:
                server.request()
                answer = client.answer()
                assert server.is_closed()
        check_failure(plane, answer, 504, "http_response_timeout")


def test_what_went_well_says_where(tmp_path: Path) -> None:
    with Serving(answering(), path=f"{tmp_path}/socket") as upstream, Plane(gateway(upstream.address)) as plane:
        assert plane.get().status == 200
        assert proxy_error(plane.get()) == ""
        record = plane.log_records(2)[0]
        assert record["endpoint"] == upstream.address
        assert "error" not in record
