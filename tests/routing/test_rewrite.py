import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.schema import Redirect as Redirecting
from tidegate.config.schema import Rewrite as Rewriting
from tidegate.config.schema import Route
from tidegate.routing.rewrite import Redirect, Rewrite, redirect_of, rewrite_of

pytestmark = pytest.mark.sanitize


def spans(path: bytes, *texts: bytes) -> list[tuple[int, int]]:
    return [(path.index(text), len(text)) for text in texts]


@pytest.mark.parametrize(
    ("options", "path", "result"),
    [
        ({}, b"/a/b", b"/a/b"),
        ({"strip_prefix": "/api"}, b"/api/x/", b"/x/"),
        ({"strip_prefix": "/api/"}, b"/api/x", b"/x"),
        ({"strip_prefix": "/api"}, b"/api/", b"/"),
        ({"strip_prefix": "/api"}, b"/api", b"/"),
        ({"strip_prefix": "/api"}, b"/apis", b"/apis"),
        ({"strip_prefix": "/api"}, b"/v/api", b"/v/api"),
        ({"strip_prefix": "/api"}, b"/ap", b"/ap"),
        ({"strip_prefix": "/"}, b"/ap", b"/ap"),
        ({"prefix": "/v2"}, b"/x", b"/v2/x"),
        ({"prefix": "/v2/"}, b"/", b"/v2/"),
        ({"strip_prefix": "/api", "prefix": "/v2"}, b"/api/x", b"/v2/x"),
        ({"strip_prefix": "/api", "prefix": "/v2"}, b"/api", b"/v2"),
        ({"strip_prefix": "/api", "prefix": "/v2"}, b"/api/", b"/v2/"),
        ({"regex": "^/(a)/(b)", "replace": r"/\2/\1"}, b"/a/b/c", b"/b/a/c"),
        ({"regex": "a", "replace": ""}, b"/aa", b"/a"),
        ({"regex": "z", "replace": "y"}, b"/a", b"/a"),
        ({"regex": "^(/a)?(/b)?", "replace": r"/x\1\2"}, b"/b/c", b"/x/b/c"),
        ({"regex": "/+", "replace": "//"}, b"/a", b"/a"),
        ({"strip_prefix": "/api", "regex": "^/$", "replace": "/index", "prefix": "/v2"}, b"/api", b"/v2/index"),
    ],
)
def test_rewrite_does_in_turn_what_it_is_told(options: dict[str, str], path: bytes, result: bytes) -> None:
    assert Rewrite(**options).rewritten(path) == result


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("/v2/{id}/{*}", b"/v2/12/x/y"),
        ("/{*}/{id}.json", b"/x/y/12.json"),
        ("/fixed", b"/fixed"),
        ("/{id}{id}", b"/1212"),
        ("/", b"/"),
    ],
)
def test_whole_path_is_made_of_the_captures(template: str, result: bytes) -> None:
    rewrite = Rewrite(path=template, capture_names=("id", "*"))
    path = b"/users/12/x/y"
    assert rewrite.rewritten(path, spans(path, b"12", b"x/y")) == result


def test_empty_rest_leaves_no_empty_segment() -> None:
    rewrite = Rewrite(path="/v2/{*}/end", capture_names=("*",))
    assert rewrite.rewritten(b"/a", [(2, 0)]) == b"/v2/end"
    assert rewrite.rewritten(b"/a") == b"/v2/end"


@pytest.mark.parametrize(
    ("template", "texts"),
    [
        ("/a/{x}{y}/b", (b".", b".")),
        ("/a/.{x}", (b".", b"-")),
        ("/{x}", (b".", b"-")),
        ("/a/{x}", (b"..", b"-")),
        ("/a/{x}", (b"a/../b", b"-")),
        ("/a/{x}", (b"?b", b"-")),
        ("/a/{x}", (b"b#", b"-")),
        ("/a/{x}", (b" HTTP/1.1", b"-")),
        ("/a/{x}", (b"\r\nX: y", b"-")),
        ("/a/{x}{y}", (b".", b".;jsessionid=1")),
        ("/a/.{x}/b", (b";v=1", b"-")),
        ("/a/{x}", (b"\x00", b"-")),
    ],
)
def test_what_would_be_no_path_is_not_sent(template: str, texts: tuple[bytes, bytes]) -> None:
    path = b"/" + b"|".join(texts)
    rewrite = Rewrite(path=template, capture_names=("x", "y"))
    with pytest.raises(ValueError, match="becomes no path"):
        rewrite.rewritten(path, [(1, len(texts[0])), (2 + len(texts[0]), len(texts[1]))])


def test_regex_that_takes_the_first_slash_away_makes_no_path() -> None:
    with pytest.raises(ValueError, match="becomes no path"):
        Rewrite(regex="^/", replace="").rewritten(b"/a")


def test_whole_path_goes_with_no_other_way() -> None:
    with pytest.raises(ValueError, match="goes with no other"):
        Rewrite(path="/a", prefix="/b")


PIECES = st.sampled_from([".", "..", "/", "a", "{x}", "{*}", ";", "-"])
SEGMENT = st.text("ab.;~", min_size=1, max_size=4)
DOTS = re.compile(r"/\.{1,2}(?:;[^/]*)?(?:/|$)")


@given(st.lists(PIECES, max_size=6).map(lambda parts: "/" + "".join(parts)), SEGMENT, st.lists(SEGMENT, max_size=3))
def test_rewritten_path_has_no_empty_and_no_dot_segment(template: str, first: str, rest: list[str]) -> None:
    path = f"/{first}/{'/'.join(rest)}".encode()
    rewrite = Rewrite(path=template, capture_names=("x", "*"))
    expected = template.replace("{x}", first).replace("{*}", "/".join(rest))
    try:
        result = rewrite.rewritten(path, [(1, len(first)), (2 + len(first), len(path) - 2 - len(first))]).decode()
    except ValueError:
        assert DOTS.search(expected)
    else:
        assert result == re.sub("/+", "/", expected)
        assert not DOTS.search(result)


@given(st.binary(max_size=30).map(lambda text: b"/" + text))
def test_room_that_is_promised_is_enough(path: bytes) -> None:
    rewrite = Rewrite(strip_prefix="/a", regex="(.)(.)", replace=r"\2\1\2\1", prefix="/b")
    with suppress(ValueError):  # it becomes no path; want of room would be a RuntimeError
        rewrite.rewritten(path)


# -- redirects ---------------------------------------------------------------------------------------------------------


def location(to: str, path: bytes = b"/a/b", query: bytes = b"q=1", host: bytes = b"Example.com:8080", **more) -> bytes:
    return Redirect(to, capture_names=("x", "*")).location(b"http", host, path, query, **more)


@pytest.mark.parametrize(
    ("to", "result"),
    [
        ("https://{host}{path}{query}", b"https://example.com/a/b?q=1"),
        ("https://{host}{path}?{query}", b"https://example.com/a/b?q=1"),
        ("https://{host}:8443{path}", b"https://example.com:8443/a/b"),
        ("{scheme}://www.{host}/new?from=old{query}", b"http://www.example.com/new?from=old&q=1"),
        ("{scheme}://www.{host}/new?from=old&{query}", b"http://www.example.com/new?from=old&q=1"),
        ("https://other.example", b"https://other.example"),
        ("https://other.example?{query}", b"https://other.example?q=1"),
        ("{path}/", b"/a/b/"),
        ("/x/{x}/y/{*}#part", b"/x/a/y/b#part"),
        ("/", b"/"),
    ],
)
def test_redirect_fills_in_what_the_request_has(to: str, result: bytes) -> None:
    assert location(to, spans=[(1, 1), (3, 1)]) == result


def test_redirect_without_query_leaves_no_mark_of_it() -> None:
    for to in ("/a{query}", "/a?{query}"):
        assert location(to, query=b"") == b"/a"
    assert location("/a?b=1&{query}", query=b"") == b"/a?b=1"


def test_asterisk_is_the_root() -> None:
    assert location("https://{host}{path}", path=b"*") == b"https://example.com/"


@pytest.mark.parametrize("path", [b"//evil.test/x", b"/\\evil.test", b"/\t/evil.test", b"///evil.test", b"/%0d%0aX:y"])
@pytest.mark.parametrize("to", ["{path}", "/{*}", "/{x}{*}", "{path}{query}"])
def test_relative_redirect_never_leads_to_another_host(to: str, path: bytes) -> None:
    result = location(to, path=path, spans=[(0, 0), (1, len(path) - 1)])
    assert result.startswith(b"/") and result[1:2] not in (b"/", b"\\")


@pytest.mark.parametrize(
    "host", [b"evil.test/x", b"a b", b"a\r\nX: y", b"", b"a@b", b"[::1", b"a\\b", b"[a/b]", b"x" * 300]
)
def test_what_is_no_host_is_not_put_in(host: bytes) -> None:
    with pytest.raises(ValueError, match="is no host"):
        location("https://{host}/", host=host)


def test_address_is_a_host() -> None:
    assert location("https://{host}/", host=b"[2001:DB8::1]:80") == b"https://[2001:db8::1]/"


def test_what_could_end_the_field_or_the_path_is_encoded() -> None:
    path = b"/a\r\nb: c?d#e\\f\xff%20"
    assert location("{path}", path=path) == b"/a%0D%0Ab:%20c%3Fd%23e%5Cf%FF%20"
    assert location("/{query}", query=b'a=b?c#d\n"') == b"/?a=b?c%23d%0A%22"


def test_made_from_a_configured_route() -> None:
    route = Route(
        name="r",
        path="~^/(?P<a>[0-9])(x)(?P<b>.*)$",
        rewrite=Rewriting(path="/{b}/{a}"),
        redirect=Redirecting(to="https://new.test/{b}"),
    )
    assert rewrite_of(route).rewritten(b"/1xyz", [(1, 1), (3, 2)]) == b"/yz/1"
    assert redirect_of(route).location(b"http", b"", b"/1xyz", b"", [(1, 1), (3, 2)]) == b"https://new.test/yz"
    route = Route(name="r", rewrite=Rewriting(strip_prefix="/a", regex="b(.)", replace=r"\1", prefix="/c"))
    assert rewrite_of(route).rewritten(b"/a/bd/e") == b"/c/d/e"


@given(
    st.sampled_from(
        ["{path}{query}", "/x{path}?{query}", "https://{host}{path}{query}", "/{*}", "https://h/{x}{*}?a={x}&{query}"]
    ),
    st.binary(max_size=20),
    st.binary(max_size=20),
    st.integers(0, 20),
)
def test_location_is_always_one_line_of_uri_text(to: str, path: bytes, query: bytes, cut: int) -> None:
    cut = min(cut, len(path))
    result = location(to, path=path, query=query, spans=[(0, cut), (cut, len(path) - cut)])
    assert re.fullmatch(rb"[\x21-\x7e]+", result) and not re.search(rb'[\\"<>^`{|}]', result)
    assert not result.startswith(b"//")
    if to.startswith("https://{host}"):
        assert re.match(rb"https://example\.com/", result)
