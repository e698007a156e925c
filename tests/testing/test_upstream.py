"""A server behind a gateway under test."""

import http.client

from tidegate import Response
from tidegate.testing import Received, ScriptedUpstream


def ask(
    server: ScriptedUpstream, method: str, target: str, **more: object
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection(server.address, timeout=60)
    connection.request(method, target, **more)  # type: ignore[arg-type]
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.msg
    connection.close()
    return found


def test_it_remembers_what_it_got() -> None:
    server = ScriptedUpstream()
    status, body, _ = ask(server, "POST", "/a?b", body=b"hello", headers={"X-A": "1"})
    assert (status, body) == (200, b"hello\n")
    ask(
        server,
        "PUT",
        "/chunks",
        body=iter([b"he", b"llo"]),
        encode_chunked=True,
        headers={"Transfer-Encoding": "chunked"},
    )
    server.close()
    first, second = server.received
    assert (first.method, first.target, first.body) == ("POST", "/a?b", b"hello")
    assert (first.get("x-a"), first.get("x-b"), first.get_all("X-A")) == ("1", None, ["1"])
    assert (second.method, second.body) == ("PUT", b"hello")


def test_it_answers_as_it_is_told() -> None:
    def answer(got: Received) -> Response:
        return Response(201, got.target.encode(), {"Set-Cookie": ["a=1", "b=2"]})

    server = ScriptedUpstream(answer)
    status, body, headers = ask(server, "PATCH", "/x")
    assert (status, body, headers.get_all("Set-Cookie")) == (201, b"/x", ["a=1", "b=2"])
    server.answer = Response(204)
    assert ask(server, "GET", "/")[:2] == (204, b"")
    server.answer = Response(200, b"12345")
    status, body, headers = ask(server, "HEAD", "/")
    assert (status, body, headers["Content-Length"]) == (200, b"", "5")
    assert repr(server) == f"<ScriptedUpstream {server.address}: 3 requests>"
    server.close()
