"""Filters on bodies: pieces changed, dropped and appended, in every framing."""

import threading

import pytest
from tests.exchange.filtered import OK, filtered, get
from tests.plane.harness import until

from tidegate import Filter, Request

pytestmark = pytest.mark.sanitize  # what runs the filters is compiled

PIECES = [b"hello ", b"wide ", b"world"]
BODY = b"".join(PIECES)


class Shout(Filter):
    """Changes each piece."""

    def on_request_body(self, request: Request, piece: bytes, is_last: bool) -> bytes:
        return piece.upper()

    def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> bytes:
        return piece.upper()


class Drop(Filter):
    """Takes all of it."""

    def on_request_body(self, request: Request, piece: bytes, is_last: bool) -> bytes:
        return b""

    def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> bytes:
        return b""


class Append(Filter):
    """Puts something behind it."""

    def on_request_body(self, request: Request, piece: bytes, is_last: bool) -> bytes | None:
        return piece + b"!" if is_last else None

    def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> bytes | None:
        return piece + b"!" if is_last else None


class Collect(Filter):
    """Keeps it until it is whole, and turns it round."""

    def on_request_body(self, request: Request, piece: bytes, is_last: bool) -> bytes:
        return self._keep(request, "there", piece, is_last)

    def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> bytes:
        return self._keep(request, "back", piece, is_last)

    def _keep(self, request: Request, key: str, piece: bytes, is_last: bool) -> bytes:
        request.store[key] = request.store.get(key, b"") + piece
        return bytes(request.store[key])[::-1] if is_last else b""


EXPECTED = {Shout: BODY.upper(), Drop: b"", Append: BODY + b"!", Collect: BODY[::-1]}


@pytest.mark.parametrize("cls", EXPECTED)
@pytest.mark.parametrize("framing", ["length", "chunked", "HTTP/1.0"])
def test_request_body(cls: type[Filter], framing: str) -> None:
    with filtered(cls, route="preserve_host = false") as (plane, upstream), plane.connect() as client:
        version = "1.0" if framing == "HTTP/1.0" else "1.1"
        client.send(f"POST / HTTP/{version}\r\nHost: gateway.test\r\n".encode())
        if framing == "chunked":
            client.send(b"Transfer-Encoding: chunked\r\n\r\n")
        else:
            client.send(b"Content-Length: %d\r\n\r\n" % len(BODY))
        with upstream.accept() as server:
            for number, piece in enumerate(PIECES):
                before = plane.counters()["bytes_downstream_in"]
                client.send(b"%x\r\n%b\r\n" % (len(piece), piece) if framing == "chunked" else piece)
                if number < 2:
                    until(lambda before=before: plane.counters()["bytes_downstream_in"] > before, "read")
            if framing == "chunked":
                client.send(b"0\r\n\r\n")
            _, fields, body = server.request()
            assert body == EXPECTED[cls]
            names = [name.lower() for name, _ in fields]
            assert "content-length" not in names
            assert ("Transfer-Encoding", "chunked") in fields
            server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
            assert client.answer().status == 204
        client.close()


@pytest.mark.parametrize("cls", EXPECTED)
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_response_body(cls: type[Filter], framing: str, version: str) -> None:
    with filtered(cls) as (plane, upstream), plane.connect() as client:
        client.send(get(version=version))
        with upstream.accept() as server:
            server.request()
            head = {"length": b"Content-Length: %d\r\n" % len(BODY), "chunked": b"Transfer-Encoding: chunked\r\n"}
            server.send(b"HTTP/1.1 200 OK\r\n" + head.get(framing, b"") + b"\r\n")
            for number, piece in enumerate(PIECES):
                before = plane.counters()["bytes_upstream_in"]
                server.send(b"%x\r\n%b\r\n" % (len(piece), piece) if framing == "chunked" else piece)
                if number < 2:
                    until(lambda before=before: plane.counters()["bytes_upstream_in"] > before, "read")
            if framing == "chunked":
                server.send(b"0\r\n\r\n")
            elif framing == "close":
                server.close()
            answer = client.answer()
            assert answer.body == EXPECTED[cls]
            assert answer.get("Content-Length") is None
            assert answer.get("Transfer-Encoding") == (None if version == "1.0" else "chunked")
            if version == "1.1" and framing != "close":  # both connections go on
                client.send(get())
                server.request()
                server.send(OK)
                assert client.answer().status == 200
        client.close()


def test_pieces_are_seen_once_and_the_last_is_said() -> None:
    seen: list[tuple[bytes, bool]] = []

    class See(Filter):
        def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> None:
            seen.append((piece, is_last))

    with filtered(See) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in (b"a", b"b"):
                server.send(b"1\r\n%b\r\n" % piece)
                until(lambda piece=piece: seen and seen[-1] == (piece, False), "seen")
            server.send(b"0\r\n\r\n")
            assert client.answer().body == b"ab"
        client.close()
    assert seen == [(b"a", False), (b"b", False), (b"", True)]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_answer_without_a_body_has_no_pieces(method: str, status: int) -> None:
    class Never(Filter):
        def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> None:
            raise AssertionError

    with filtered(Never) as (plane, upstream), plane.connect() as client:
        for _ in range(2):
            client.send(get(method=method))
            with upstream.accept() as server:
                server.request()
                length = b"Content-Length: 5\r\n" if method == "HEAD" else b""
                server.send(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, length))
                server.close()
                answer = client.answer(to=method)
            assert answer.status == status
            # What a GET would get has gone through the filter: its length is not the upstream's.
            assert answer.get("Content-Length") is None
        client.close()


def test_request_without_a_body_has_no_pieces() -> None:
    class Never(Filter):
        def on_request_body(self, request: Request, piece: bytes, is_last: bool) -> None:
            raise AssertionError

    with filtered(Never) as (plane, upstream), plane.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 0\r\n\r\n")
        with upstream.accept() as server:
            assert server.request()[2] == b""
            server.send(OK)
            assert client.answer().status == 200
        client.close()


def test_local_answer_goes_through_body_filters() -> None:
    with filtered(
        Shout, route='path = "/up"', config='[[routes]]\nname = "l"\nfilters = ["f0"]\nrespond.body = "abc"\n'
    ) as (
        plane,
        _,
    ):
        assert plane.get("/local").body == b"ABC"


@pytest.mark.parametrize("result", ["text", 7, bytearray(b"x"), True])
def test_piece_of_another_type_is_a_500(result: object) -> None:
    class Wrong(Filter):
        def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> bytes:
            return result  # type: ignore[return-value]

    with filtered(Wrong) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().status == 500
        client.close()
        assert "a body phase returns bytes or None" in plane.error_log.said[0][1]


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_filter_that_fails_late_cuts_the_answer_off(framing: str) -> None:
    """The client has got half of it: only the end of the connection can say that this was not all."""

    class Late(Filter):
        def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> None:
            if is_last:
                raise LookupError

    with filtered(Late) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            if framing == "chunked":
                server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            elif framing == "length":
                server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf")
            else:
                server.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
            client.until(b"half\r\n")
            if framing == "chunked":
                server.send(b"0\r\n\r\n")
            elif framing == "length":
                server.send(b"!")
            else:
                server.close()
            assert client.is_closed()
        assert plane.error_log.kinds() == ["filter_failed"]
        assert '"error":"proxy_internal_error"' in plane.log_lines(1)[0]


def test_large_bodies_go_through_in_bounded_pieces() -> None:
    sizes: list[int] = []

    class Measure(Filter):
        def on_request_body(self, request: Request, piece: bytes, is_last: bool) -> None:
            sizes.append(len(piece))

        def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> None:
            sizes.append(len(piece))

    body = bytes(range(256)) * 8192
    with filtered(Measure) as (plane, upstream), plane.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: %d\r\n\r\n" % len(body))
        sender = threading.Thread(target=client.sock.sendall, args=(body,))
        sender.start()
        with upstream.accept() as server:
            assert server.request()[2] == body
            sender.join()
            sender = threading.Thread(
                target=server.sock.sendall, args=(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body,)
            )
            sender.start()
            assert client.answer().body == body
            sender.join()
        client.close()
    assert sum(sizes) == 2 * len(body)
    assert max(sizes) <= 1 << 20
