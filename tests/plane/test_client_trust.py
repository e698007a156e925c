"""What the upstream hears of the client: its address, its names, and nothing that it made up."""

import socket
from pathlib import Path

import pytest
from tests.plane.client_side import OK, at_rest, one_upstream
from tests.plane.harness import Peer, Plane, Upstream

pytestmark = pytest.mark.sanitize

TRUSTING = 'trusted_proxies = ["127.0.0.0/8", "10.0.0.0/8", "::1/128"]'
ADMIN = """
[[routes]]
name = "admin"
path = "/admin/*"
respond = { status = 403, body = "no" }
"""


def seen(plane: Plane, upstream: Upstream, head: str, client: Peer | None = None) -> tuple[str, list[tuple[str, str]]]:
    """The request as the upstream gets it."""
    with client or plane.connect() as one:
        one.send(head.encode("latin-1"))
        with upstream.accept() as server:
            line, fields, _ = server.request()
            server.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert one.answer().status == 200
    return line, fields


def values(fields: list[tuple[str, str]], name: str) -> list[str]:
    return [value for known, value in fields if known.lower().replace("_", "-") == name.lower()]


CLAIMS = (
    "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 1\r\n"
    "X-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Request-ID: chosen\r\n"
)


def test_a_strangers_claims_are_removed() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        for claims in (CLAIMS, CLAIMS.replace("-", "_"), CLAIMS.lower(), CLAIMS.upper(), CLAIMS + CLAIMS):
            _, fields = seen(plane, upstream, f"GET / HTTP/1.1\r\nHost: gateway.test\r\n{claims}\r\n")
            assert values(fields, "X-Forwarded-For") == ["127.0.0.1"]
            assert values(fields, "X-Forwarded-Proto") == ["http"]
            assert values(fields, "X-Forwarded-Host") == ["gateway.test"]
            assert values(fields, "X-Forwarded-Port") == []
            assert values(fields, "X-Real-IP") == []
            assert values(fields, "Forwarded") == ['for=127.0.0.1;proto=http;host="gateway.test"']
            (request_id,) = values(fields, "X-Request-ID")
            assert request_id.lower() != "chosen"
            assert len(request_id) >= 16
        at_rest(plane)


def test_a_trusted_proxys_claims_are_continued() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), server=TRUSTING) as plane:
        _, fields = seen(plane, upstream, f"GET / HTTP/1.1\r\nHost: gateway.test\r\n{CLAIMS}\r\n")
        assert values(fields, "X-Forwarded-For") == ["6.6.6.6, 127.0.0.1"]
        assert values(fields, "X-Forwarded-Proto") == ["https"]
        assert values(fields, "X-Forwarded-Host") == ["evil.test"]
        assert values(fields, "Forwarded") == ['for=6.6.6.6, for=127.0.0.1;proto=http;host="gateway.test"']
        assert values(fields, "X-Request-ID") == ["chosen"]
        at_rest(plane)


def test_a_trusted_proxys_claims_in_another_spelling_are_nobodys() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), server=TRUSTING) as plane:
        head = "GET / HTTP/1.1\r\nHost: gateway.test\r\nX_Forwarded_For: 6.6.6.6\r\nX_Request_ID: chosen\r\n\r\n"
        _, fields = seen(plane, upstream, head)
        assert values(fields, "X-Forwarded-For") == ["127.0.0.1"]
        assert values(fields, "X-Request-ID") != ["chosen"]
        assert '"6.6.6.6"' not in plane.log_lines(1)[0]
        at_rest(plane)


def test_two_requests_have_two_ids() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        ids = {
            values(seen(plane, upstream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")[1], "X-Request-ID")[0] for _ in range(5)
        }
        assert len(ids) == 5


def test_trace_context_is_passed_on() -> None:
    trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: a=b\r\n"
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        _, fields = seen(plane, upstream, f"GET / HTTP/1.1\r\nHost: a\r\n{trace}\r\n")
        assert values(fields, "traceparent") == ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]
        assert values(fields, "tracestate") == ["a=b"]


@pytest.mark.parametrize(
    "field", ["X_User_Id: 1", "x_user_id: 1", "X_User-Id: 1", "_: 1", "Content_Length: 5", "Transfer_Encoding: chunked"]
)
def test_name_with_an_underscore_is_dropped(field: str) -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        _, fields = seen(plane, upstream, f"GET / HTTP/1.1\r\nHost: a\r\n{field}\r\nX-Fine: 1\r\n\r\n")
        assert field.partition(":")[0] not in [name for name, _ in fields]
        assert values(fields, "X-Fine") == ["1"]
        at_rest(plane)


def test_name_with_an_underscore_passes_where_it_is_allowed_unless_the_gateway_sets_it() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), "allow_underscores = true") as plane:
        head = "GET / HTTP/1.1\r\nHost: a\r\nX_User_Id: 1\r\nX_Forwarded_For: 6.6.6.6\r\nX_Real_IP: 6\r\n\r\n"
        _, fields = seen(plane, upstream, head)
        assert ("X_User_Id", "1") in fields
        assert values(fields, "X-Forwarded-For") == ["127.0.0.1"]
        assert values(fields, "X-Real-IP") == []
        at_rest(plane)


def test_name_that_a_route_sets_is_removed_in_either_spelling() -> None:
    route = 'request_headers = { set = { X-User-Id = "gateway" } }'
    for listener in ("", "allow_underscores = true"):
        with Upstream() as upstream, Plane(one_upstream(upstream, route=route), listener) as plane:
            for spelling in ("X-User-Id", "X_User_Id", "x_user-id", "X-USER-ID"):
                _, fields = seen(plane, upstream, f"GET / HTTP/1.1\r\nHost: a\r\n{spelling}: client\r\n\r\n")
                assert values(fields, "X-User-Id") == ["gateway"]


def test_connection_cannot_remove_what_the_gateway_adds() -> None:
    route = 'request_headers = { set = { X-User-Id = "gateway" } }'
    with Upstream() as upstream, Plane(one_upstream(upstream, route=route)) as plane:
        named = "X-User-Id, X-Forwarded-For, Host, Authorization, Cookie, X-Hop"
        head = (
            f"GET / HTTP/1.1\r\nHost: a\r\nConnection: {named}\r\nX-Hop: 1\r\nAuthorization: b\r\nCookie: c=d\r\n\r\n"
        )
        _, fields = seen(plane, upstream, head)
        assert values(fields, "X-User-Id") == ["gateway"]
        assert values(fields, "X-Forwarded-For") == ["127.0.0.1"]
        assert values(fields, "Host") == ["a"]
        assert values(fields, "Authorization") == ["b"]
        assert values(fields, "Cookie") == ["c=d"]
        assert values(fields, "X-Hop") == []
        assert values(fields, "Connection") == []


def test_connection_cannot_remove_the_length_of_a_body() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length, Content-Type\r\n"
            client.send(head + b"Content-Type: x/y\r\nContent-Length: 5\r\n\r\nhello")
            with upstream.accept() as server:
                _, fields, body = server.request()
                assert body == b"hello"
                assert values(fields, "Content-Type") == ["x/y"]
                server.send(OK)
                assert client.answer().status == 200
        at_rest(plane)


def test_what_belongs_to_one_hop_stays_there() -> None:
    hop = (
        "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers, deflate\r\nTrailer: X\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nProxy-Authorization: Basic xx\r\n"
        "Connection: upgrade, http2-settings\r\n"
    )
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        _, fields = seen(plane, upstream, f"GET / HTTP/1.1\r\nHost: a\r\n{hop}\r\n")
        for line in hop.splitlines():
            assert values(fields, line.split(":")[0]) == []


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "/admin/x",
        "//admin",
        "/%61dmin",
        "/%61%64min/x",
        "/./admin",
        "/x/../admin",
        "/admin//x",
    ],
)
def test_protected_path_is_protected_in_every_spelling(path: str) -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream, more=ADMIN)) as plane:
        assert plane.get(path).status == 403


@pytest.mark.parametrize(
    "path",
    ["/admin/..;/x", "/x/%2e%2e/admin", "/x/..;/admin", "/x%2f..%2fadmin", "/x\\..\\admin", "/admin%00", "/..%2fadmin"],
)
def test_path_that_others_may_read_as_the_protected_one_goes_nowhere(path: str) -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream, more=ADMIN)) as plane:
        assert plane.get(path).status in (400, 403)


def test_what_is_matched_is_what_is_sent() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        line, _ = seen(plane, upstream, "GET /a/./b//c/../%7euser?x=//../ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert line == "GET /a/b/~user?x=//../ HTTP/1.1"


def test_ipv6_client_is_told_with_its_address() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), host="::1") as plane:
        _, fields = seen(plane, upstream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert values(fields, "X-Forwarded-For") == ["::1"]
        assert values(fields, "Forwarded") == ['for="[::1]";proto=http;host="a"']
        at_rest(plane)


def test_trusted_ipv6_proxy_is_believed() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), server=TRUSTING, host="::1") as plane:
        _, fields = seen(plane, upstream, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 2001:db8::7\r\n\r\n")
        assert values(fields, "X-Forwarded-For") == ["2001:db8::7, ::1"]


def test_unix_listener_serves(tmp_path: Path) -> None:
    path = str(tmp_path / "gateway.sock")
    with Upstream() as upstream, UnixPlane(one_upstream(upstream), path) as plane:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        line, fields = seen(
            plane, upstream, "GET /u HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n", Peer(sock)
        )
        assert line == "GET /u HTTP/1.1"
        assert values(fields, "X-Forwarded-For") == []
        assert values(fields, "X-Forwarded-Proto") == ["http"]
        assert values(fields, "Forwarded") == ['for=unknown;proto=http;host="a"']
        at_rest(plane)


class UnixPlane(Plane):
    """A gateway that listens on a path."""

    def __init__(self, config: str, path: str) -> None:
        super().__init__(config)
        self.listening.close()
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(path)
        self.listening.listen()
