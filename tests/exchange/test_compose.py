"""Outgoing heads: what is left out, what is added, how the message is framed."""

import re

import pytest
from tests.exchange.filtered import OK, filtered, get

from tidegate import Filter

TRUSTING = 'trusted_proxies = ["127.0.0.0/8"]'


def to_upstream(request: bytes, **settings: str) -> tuple[str, list[tuple[str, str]], bytes]:
    """Request line, fields and body as the upstream gets them."""
    with filtered(**settings) as (plane, upstream), plane.connect() as client:
        client.send(request)
        with upstream.accept() as server:
            found = server.request()
            server.send(OK)
            client.answer()
        client.close()
    return found


def to_client(answer: bytes, request: bytes = b"", *filters: type[Filter], **settings: str) -> bytes:
    """The head of the answer as the client gets it."""
    with filtered(*filters, **settings) as (plane, upstream), plane.connect() as client:
        client.send(request or get())
        with upstream.accept() as server:
            server.request()
            server.send(answer)
            server.close()
            found = client.until(b"\r\n\r\n")
        client.close()
    if b"\r\nDate:" not in answer:  # then one is added, whatever else happens
        found, count = re.subn(rb"\r\nDate: [^\r]* GMT(?=\r\n)", b"", found)
        assert count == 1
    return found


def names(fields: list[tuple[str, str]]) -> list[str]:
    return [name for name, _ in fields]


OWN = [
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "gateway.test"),
    ("Forwarded", 'for=127.0.0.1;proto=http;host="gateway.test"'),
    ("Via", "1.1 tidegate"),
]


def test_request_is_sent_on_with_the_gateways_own_fields_behind() -> None:
    line, fields, _ = to_upstream(get("/a?b=c", "Accept: */*\r\nX-A:  1 \r\n"))
    assert line == "GET /a?b=c HTTP/1.1"
    assert [(name, value.strip()) for name, value in fields[:-1]] == [
        ("Host", "gateway.test"), ("Accept", "*/*"), ("X-A", "1"), *OWN
    ]  # fmt: skip
    assert fields[-1][0] == "X-Request-ID"


@pytest.mark.parametrize(
    "line",
    [
        "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: trailers", "Trailer: X-A", "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: keep-alive", "Proxy-Authorization: Basic eA==",
        "Connection: X-Mine\r\nX-Mine: 1", "Connection: x-mine , close-not\r\nX-MINE: 1", "X_Under: 1",
        "X_Forwarded_For: 6.6.6.6", "Expect: 100-continue",
    ],
)  # fmt: skip
def test_fields_of_one_hop_and_ambiguous_ones_end_here(line: str) -> None:
    _, fields, _ = to_upstream(get(headers=f"X-Before: 1\r\n{line}\r\nX-After: 2\r\n"))
    assert names(fields) == ["Host", "X-Before", "X-After", *names(OWN), "X-Request-ID"]


def test_connection_cannot_name_what_is_needed_behind_the_gateway() -> None:
    request = get(
        headers="Connection: host, authorization, cookie, content-type\r\nAuthorization: x\r\nCookie: a=b\r\n"
    )
    assert {"Host", "Authorization", "Cookie"} <= set(names(to_upstream(request)[1]))


@pytest.mark.parametrize(
    "line",
    [
        "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "Forwarded: for=6.6.6.6",
        "X-Request-ID: mine", "X-Forwarded-Prefix: /evil", "X-Real-IP: 6.6.6.6", "x-forwarded-anything: 1",
    ],
)  # fmt: skip
def test_claims_of_a_client_that_is_not_trusted_are_removed(line: str) -> None:
    _, fields, _ = to_upstream(get(headers=line + "\r\n"))
    assert names(fields) == ["Host", *names(OWN), "X-Request-ID"]
    assert fields[1:-1] == OWN
    assert fields[-1][1] != "mine"


def test_claims_of_a_trusted_proxy_are_lengthened() -> None:
    lines = (
        "X-Forwarded-For: 6.6.6.6, 5.5.5.5\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\n"
        "Forwarded: for=6.6.6.6\r\nX-Request-ID: mine\r\nX-Real-IP: 5.5.5.5\r\nX-Forwarded-For: 4.4.4.4\r\n"
        "Forwarded: for=5.5.5.5\r\nVia: 1.1 front\r\n"
    )
    _, fields, _ = to_upstream(get(headers=lines), server=TRUSTING)
    assert fields == [
        ("Host", "gateway.test"),
        ("X-Real-IP", "5.5.5.5"),
        ("Via", "1.1 front"),
        ("X-Forwarded-For", "6.6.6.6, 5.5.5.5, 4.4.4.4, 127.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "a.test"),
        ("Forwarded", 'for=6.6.6.6, for=5.5.5.5, for=127.0.0.1;proto=http;host="gateway.test"'),
        ("Via", "1.1 tidegate"),
        ("X-Request-ID", "mine"),
    ]


def test_client_of_http_1_0_is_named_in_via() -> None:
    _, fields, _ = to_upstream(b"GET / HTTP/1.0\r\n\r\n")
    assert dict(fields)["Via"] == "1.0 tidegate"
    assert dict(fields)["Host"].startswith("127.0.0.1:")  # a request of HTTP/1.1 has one
    assert "X-Forwarded-Host" not in names(fields)


def test_host_is_the_clients_or_the_endpoints() -> None:
    assert dict(to_upstream(get())[1])["Host"] == "gateway.test"
    fields = to_upstream(get(), route="preserve_host = false")[1]
    assert [value.startswith("127.0.0.1:") for name, value in fields if name == "Host"] == [True]
    assert dict(fields)["X-Forwarded-Host"] == "gateway.test"


@pytest.mark.parametrize(
    ("target", "sent", "route"),
    [
        ("/a/../b", "/b", ""),
        ("//a//b", "/a/b", ""),
        ("/%61?x=%61", "/a?x=%61", ""),
        ("/a/../b", "/a/../b", 'path_form = "raw"'),
        ("/old/x?y", "/new/x?y", 'rewrite = { strip_prefix = "/old", prefix = "/new" }'),
        ("http://gateway.test/x?", "/x?", ""),
        ("http://gateway.test", "/", ""),
    ],
)
def test_path_that_is_sent(target: str, sent: str, route: str) -> None:
    assert to_upstream(get(target), route=route)[0] == f"GET {sent} HTTP/1.1"


def test_body_is_framed_as_it_was_understood() -> None:
    head = b"POST / HTTP/1.1\r\nHost: gateway.test\r\n"
    _, fields, body = to_upstream(head + b"Content-Length: 5\r\n\r\nhello")
    assert body == b"hello" and dict(fields)["Content-Length"] == "5"
    _, fields, body = to_upstream(
        head + b"Transfer-Encoding: CHUNKED\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n"
    )
    assert body == b"hello" and dict(fields)["Transfer-Encoding"] == "chunked"
    assert "X-Trailer" not in names(fields)


# -- answers ----------------------------------------------------------------------------------------------------------


def test_answer_is_sent_on() -> None:
    answer = b"HTTP/1.1 203 Hm\r\nServer: x\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n"
    assert to_client(answer) == answer
    assert to_client(answer.replace(b"HTTP/1.1", b"HTTP/1.0")) == answer


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: keep-alive", b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"Upgrade: h2c",
        b"Trailer: X", b"TE: trailers", b"Connection: x-mine\r\nX-Mine: 1",
    ],
)  # fmt: skip
def test_fields_of_the_upstreams_hop_end_here(line: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nX-A: 1\r\n%b\r\nX-B: 2\r\nContent-Length: 0\r\n\r\n"
    assert to_client(answer % line) == b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 0\r\n\r\n"


def test_connection_says_what_becomes_of_the_clients_connection() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert b"connection" not in to_client(answer).lower()
    assert b"Connection: close\r\n" in to_client(answer, get(headers="Connection: close\r\n"))
    assert b"Connection: close\r\n" in to_client(answer, get(version="1.0"))
    assert b"Connection: keep-alive\r\n" in to_client(answer, get(version="1.0", headers="Connection: keep-alive\r\n"))


def test_answer_of_unknown_length_is_chunked_or_ends_with_the_connection() -> None:
    for answer in (
        b"HTTP/1.1 200 OK\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ):
        assert to_client(answer) == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert to_client(answer, get(version="1.0")) == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


def test_changed_status_has_no_old_reason() -> None:
    class Change(Filter):
        def on_response(self, request: object, response: object) -> None:
            response.status = 418  # type: ignore[attr-defined]

    head = to_client(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", get(), Change)
    assert head == b"HTTP/1.1 418 \r\nContent-Length: 0\r\n\r\n"


def test_route_changes_both_heads() -> None:
    route = """
request_headers = { remove = ["X-A"], set = { "X-B" = "gate" }, add = { "X-C" = "more" } }
response_headers = { remove = ["Server"], set = { "X-B" = "gate" }, add = { "X-C" = "more" } }
"""
    _, fields, _ = to_upstream(get(headers="X-A: 1\r\nx-b: 2\r\nX-C: 3\r\n"), route=route)
    assert [field for field in fields if field[0].lower() in {"x-a", "x-b", "x-c"}] == [
        ("X-C", "3"), ("X-B", "gate"), ("X-C", "more")
    ]  # fmt: skip
    head = to_client(b"HTTP/1.1 200 OK\r\nServer: x\r\nX-C: 3\r\nContent-Length: 0\r\n\r\n", route=route)
    assert head == b"HTTP/1.1 200 OK\r\nX-C: 3\r\nContent-Length: 0\r\nX-B: gate\r\nX-C: more\r\n\r\n"
