"""Every option of a route, seen from outside: with it one thing happens, without it another."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.plane.harness import Answer, Plane
from tests.plane.serving import Fields, Serving

pytestmark = pytest.mark.sanitize

SERVER = 'filter_packages = ["tests"]'


def echo(peer, line: str, fields: Fields, body: bytes) -> None:  # type: ignore[no-untyped-def]
    """Answers with what it got, as JSON."""
    text = json.dumps({"line": line, "fields": fields}).encode()
    head = f"HTTP/1.1 200 OK\r\nX-Own: upstream\r\nX-Old: gone\r\nContent-Length: {len(text)}\r\n\r\n"
    peer.send(head.encode() + text)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Serving]:
    with Serving(echo) as serving:
        yield serving


def routed(upstream: Serving, *routes: str) -> Plane:
    """A gateway with these routes to ``upstream``, named a, b, …; what matches none of them gets 404."""
    text = f'[upstreams.u]\nendpoints = ["{upstream.address}"]\n'
    for i, route in enumerate(routes):
        goes = "" if "redirect" in route or "respond" in route else 'upstream = "u"\n'
        text += f'[[routes]]\nname = "{"abcdefgh"[i]}"\n{goes}{route}\n'
    return Plane(text, server=SERVER)


def get(plane: Plane, path: str = "/", *, host: str = "a.test", method: str = "GET", headers: str = "") -> Answer:
    with plane.connect() as client:
        client.send(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode("latin-1"))
        return client.answer(to=method)


def seen(answer: Answer) -> tuple[str, dict[str, str]]:
    """Request line and fields that the upstream got."""
    assert answer.status == 200, answer
    got = json.loads(answer.body)
    return got["line"], dict(got["fields"])


def target(answer: Answer) -> str:
    return seen(answer)[0].split(" ")[1]


def served_by(plane: Plane, answer: Answer) -> str | None:
    """Name of the route that the access log has for this answer."""
    return str(json.loads(plane.log_lines(1)[0]).get("route"))


def test_hosts(upstream: Serving) -> None:
    with routed(upstream, 'hosts = ["a.test", "*.b.test"]') as plane:
        assert [get(plane, host=host).status for host in ("a.test", "x.y.b.test", "b.test", "c.test")] == [
            200, 200, 404, 404,
        ]  # fmt: skip


def test_path(upstream: Serving) -> None:
    with routed(upstream, 'path = "/exact"', 'path = "/below/*"', 'path = "/u/{id}"', "path = '~^/x/[0-9]+$'") as plane:
        for path, route in (("/exact", "a"), ("/below", "b"), ("/below/x", "b"), ("/u/7", "c"), ("/x/12", "d")):
            assert served_by(plane, get(plane, path)) == route
        assert [get(plane, path).status for path in ("/exact/", "/belowx", "/u/7/8", "/x/a")] == [404] * 4


def test_methods(upstream: Serving) -> None:
    with routed(upstream, 'methods = ["GET", "PURGE"]') as plane:
        assert [get(plane, method=method).status for method in ("GET", "HEAD", "PURGE")] == [200] * 3
        refused = get(plane, method="DELETE")
        assert (refused.status, refused.get("Allow")) == (405, "GET, HEAD, PURGE")


def test_headers(upstream: Serving) -> None:
    with routed(upstream, 'headers = { X-A = "1", X-B = "~^b+$", X-C = true, X-D = false }') as plane:
        good = "X-A: 1\r\nX-B: bb\r\nX-C: any\r\n"
        assert get(plane, headers=good).status == 200
        for bad in (good.replace("1", "2"), good.replace("bb", "bc"), "X-A: 1\r\nX-B: b\r\n", good + "X-D: 1\r\n"):
            assert get(plane, headers=bad).status == 404


def test_query(upstream: Serving) -> None:
    with routed(upstream, 'query = { a = "1 2", b = "~^b+$", c = true, d = false }') as plane:
        assert target(get(plane, "/?a=1+2&b=bb&c")) == "/?a=1+2&b=bb&c"
        for bad in ("/?a=1&b=bb&c", "/?a=1+2&b=bc&c", "/?a=1+2&b=bb", "/?a=1+2&b=bb&c&d=1", "/"):
            assert get(plane, bad).status == 404


def test_priority(upstream: Serving) -> None:
    for priority, first in ((1, "b"), (-1, "a")):
        with routed(upstream, 'path = "/a"', f'priority = {priority}\nmethods = ["GET"]') as plane:
            assert served_by(plane, get(plane, "/a")) == first


def test_name_and_upstream_are_those_of_the_log_and_the_metrics(upstream: Serving) -> None:
    with routed(upstream, 'path = "/a"') as plane:
        get(plane, "/a")
        line = json.loads(plane.log_lines(1)[0])
        assert (line["route"], line["upstream"]) == ("a", "u")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect(upstream: Serving, status: int) -> None:
    to = "https://{host}/new/{x}/{*}{query}"
    with routed(upstream, f'path = "/old/{{x}}/*"\nredirect = {{ to = "{to}", status = {status} }}') as plane:
        answer = get(plane, "/old/1/2/3?a=b")
        assert (answer.status, answer.get("Location")) == (status, "https://a.test/new/1/2/3?a=b")


def test_redirect_keeps_method_and_is_remembered_unless_said_otherwise(upstream: Serving) -> None:
    with routed(upstream, 'redirect = { to = "{scheme}://b.test{path}" }') as plane:
        answer = get(plane, "/x")
        assert (answer.status, answer.get("Location")) == (308, "http://b.test/x")


def test_respond(upstream: Serving) -> None:
    with routed(upstream, 'respond = { status = 451, body = "no \u00e9", headers = { X-Why = "law" } }') as plane:
        answer = get(plane)
        assert (answer.status, answer.body, answer.get("X-Why")) == (451, "no \u00e9".encode(), "law")
    with routed(upstream, "respond = {}") as plane:
        answer = get(plane)
        assert (answer.status, answer.body, answer.get("Content-Length")) == (200, b"", "0")


@pytest.mark.parametrize(
    ("rewrite", "path", "sent"),
    [
        ('strip_prefix = "/api"', "/api/x?q", "/x?q"),
        ('strip_prefix = "/api"', "/apis/x", "/apis/x"),
        ('prefix = "/v2"', "/x", "/v2/x"),
        ('strip_prefix = "/api", prefix = "/v2"', "/api/x", "/v2/x"),
        (r"regex = '^/x/([0-9]+)', replace = '/y/\1'", "/x/12/z", "/y/12/z"),
        (r"regex = '/x', replace = '/y'", "/x/x", "/y/x"),
        ("regex = '/x'", "/x/z", "/z"),
        ('path = "/always"', "/x/z?q=1", "/always?q=1"),
    ],
)
def test_rewrite(upstream: Serving, rewrite: str, path: str, sent: str) -> None:
    with routed(upstream, f"rewrite = {{ {rewrite} }}") as plane:
        assert target(get(plane, path)) == sent


def test_rewrite_path_fills_captures_in(upstream: Serving) -> None:
    with routed(upstream, 'path = "/u/{id}/*"\nrewrite = { path = "/v2/{id}/{*}" }') as plane:
        assert target(get(plane, "/u/7/a/b?c")) == "/v2/7/a/b?c"


def test_request_headers(upstream: Serving) -> None:
    changes = '{ remove = ["X-Gone"], set = { X-Set = "mine" }, add = { X-More = "2" } }'
    with routed(upstream, f"request_headers = {changes}") as plane:
        answer = get(plane, headers="X-Gone: 1\r\nX-Set: theirs\r\nX-More: 1\r\nX-Kept: 1\r\n")
        fields = json.loads(answer.body)["fields"]
        assert [value for name, value in fields if name == "X-More"] == ["1", "2"]
        assert [value for name, value in fields if name == "X-Set"] == ["mine"]
        assert "X-Gone" not in dict(fields) and dict(fields)["X-Kept"] == "1"


def test_response_headers(upstream: Serving) -> None:
    changes = '{ remove = ["X-Old"], set = { X-Own = "gateway" }, add = { X-More = "2" } }'
    with routed(upstream, f"response_headers = {changes}") as plane:
        answer = get(plane)
        assert (answer.get("X-Old"), answer.get_all("X-Own"), answer.get("X-More")) == (None, ["gateway"], "2")


def test_filters_run_in_their_order(upstream: Serving) -> None:
    for listed, expected in (('"one", "two"', "12"), ('"two", "one"', "21")):
        text = f'[upstreams.u]\nendpoints = ["{upstream.address}"]\n' + "".join(
            f'[filters.{name}]\nclass = "tests.plane.option_filters:Appends"\nmark = "{mark}"\n'
            for name, mark in (("one", "1"), ("two", "2"))
        )
        text += f'[[routes]]\nname = "a"\nupstream = "u"\nfilters = [{listed}]\n'
        with Plane(text, server=SERVER) as plane:
            answer = get(plane)
            assert seen(answer)[1]["X-Marks"] == expected
            assert answer.get("X-Marks") == expected[::-1]  # on the way back the other way round


def test_preserve_host(upstream: Serving) -> None:
    with routed(upstream, "") as plane:
        assert seen(get(plane, host="a.test:81"))[1]["Host"] == "a.test:81"
    with routed(upstream, "preserve_host = false") as plane:
        fields = seen(get(plane, host="a.test:81"))[1]
        assert (fields["Host"], fields["X-Forwarded-Host"]) == (upstream.address, "a.test:81")


def test_path_form(upstream: Serving) -> None:
    with routed(upstream, 'path = "/a/*"') as plane:
        assert target(get(plane, "/x/../a//%62?%63")) == "/a/b?%63"
    with routed(upstream, 'path = "/a/*"\npath_form = "raw"') as plane:
        assert target(get(plane, "/x/../a//%62?%63")) == "/x/../a//%62?%63"


@pytest.mark.parametrize(
    ("word", "path"),
    [("%2F", "/a%2Fb"), ("%5C", "/a%5Cb"), ("%00", "/a%00b"), ("backslash", "/a\\b"), ("non-ascii", "/a\xe9b")],
)
def test_allow_encoded(upstream: Serving, word: str, path: str) -> None:
    with routed(upstream, 'path = "/x"', "") as plane:
        assert get(plane, path).status == 400
    with routed(upstream, f'allow_encoded = ["{word}"]') as plane:
        line = seen(get(plane, path))[0]
        assert line == f"GET {path} HTTP/1.1"


def test_max_body(upstream: Serving) -> None:
    with routed(upstream, 'path = "/small"\nmax_body = "4B"', "") as plane, plane.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello")
        assert client.answer().status == 200
        client.send(b"POST /small HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello")
        assert client.answer().status == 413
