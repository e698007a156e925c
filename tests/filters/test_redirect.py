"""Sends clients elsewhere."""

from typing import Any

import pytest

from tidegate import testing
from tidegate.filters.redirect import Redirect


def place(options: dict[str, Any], target: str = "/a?b=c", **request: Any) -> str | None:
    made = testing.make(Redirect, **options)
    answer = made.on_request(testing.request(target=target, **request))
    return None if answer is None else answer.headers["Location"]


def test_place_is_filled_in() -> None:
    assert place({"to": "https://{host}{path}{query}"}) == "https://gateway.test/a?b=c"
    assert place({"to": "https://{host}{path}{query}"}, "/a") == "https://gateway.test/a"
    assert place({"to": "/new/{captures.id}"}, "/old/7", path="/old/{id}") == "/new/7"


@pytest.mark.parametrize(("scheme", "is_sent"), [("http", True), ("https", False)])
def test_only_who_came_without_tls(scheme: str, is_sent: bool) -> None:
    options = {"to": "https://{host}{path}", "scheme": "http"}
    assert (place(options, scheme=scheme) is not None) is is_sent


@pytest.mark.parametrize(
    ("host", "is_sent"),
    [
        ("example.com", True),
        ("EXAMPLE.com:8080", True),
        ("www.example.com", False),
        ("[::1]", True),
        ("[::1]:80", True),
    ],
)
def test_only_some_hosts(host: str, is_sent: bool) -> None:
    options = {"to": "https://www.example.com{path}", "hosts": ["Example.com", "[::1]"]}
    assert (place(options, headers={"Host": host}) is not None) is is_sent


def test_nobody_is_sent_where_he_is() -> None:
    assert place({"to": "/a?b=c"}) is None
    assert place({"to": "{scheme}://{host}{path}{query}"}) is None
    assert place({"to": "http://gateway.test{path}"}, "/a") is None
    assert place({"to": "http://gateway.test{path}"}, "/a?b") == "http://gateway.test/a"


def test_status_in_a_gateway() -> None:
    with testing.gateway(testing.use(Redirect, to="/new", status=301)) as gw:
        answer = gw.get("/old")
        assert (answer.status, answer.get("Location")) == (301, "/new")
        assert gw.get("/new").status == 200
        assert len(gw.upstream.received) == 1


def test_behind_a_proxy_that_ends_tls_nobody_goes_in_circles() -> None:
    to_tls = testing.use(Redirect, to="https://{host}{path}", scheme="http")
    with testing.gateway(to_tls, config={"server": {"trusted_proxies": ["127.0.0.1/32"]}}) as gw:
        assert gw.get("/a", {"X-Forwarded-Proto": "http"}).status == 308
        assert gw.get("/a", {"X-Forwarded-Proto": "https"}).status == 200


@pytest.mark.parametrize("to", ["", "there", "ftp://x/", "//evil.test/", "/a b", "/a\nb", "/{nope}"])
def test_what_is_no_place_is_a_finding(to: str) -> None:
    with pytest.raises(ValueError, match=r"filters\.filter0"):
        testing.make(Redirect, to=to)
