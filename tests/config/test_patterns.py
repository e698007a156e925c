"""Patterns of routes read into their parts; what is no pattern is told why (cases/paths.toml has the reasons)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.patterns import PathPattern, ValuePattern, parse_host, parse_path, parse_value


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("/", PathPattern("exact", "/")),
        ("/a/b", PathPattern("exact", "/a/b")),
        ("/a/", PathPattern("exact", "/a/")),
        ("/*", PathPattern("prefix", "/")),
        ("/a/*", PathPattern("prefix", "/a/")),
        ("/users/{id}", PathPattern("template", "/users/{id}", ("users", None), ("id",))),
        ("/users/{id}/", PathPattern("template", "/users/{id}/", ("users", None, ""), ("id",))),
        ("/{a}/x/{b}/*", PathPattern("template", "/{a}/x/{b}/", (None, "x", None), ("a", "b"), has_rest=True)),
        ("~^/x/[0-9]+$", PathPattern("regex", "^/x/[0-9]+$")),
        ("/gr%C3%BCn/a%2Fb", PathPattern("exact", "/gr%C3%BCn/a%2Fb")),
    ],
)
def test_path_is_read(text: str, pattern: PathPattern) -> None:
    assert parse_path(text) == pattern


@pytest.mark.parametrize(
    "text", ["", "a", "~", "/a*", "/*/a", "/a//b", "/./a", "/a/..", "/%2e", "/%7E", "/a?b", "/ä", "/{", "/{1}"]
)
def test_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_path(text)


@given(st.text(alphabet="/{}*~.%aA2?# ä", max_size=12))
def test_any_text_is_a_path_or_a_value_error(text: str) -> None:
    try:
        pattern = parse_path(text)
    except ValueError:
        return
    assert pattern.kind != "template" or len(pattern.captures) == pattern.segments.count(None) > 0


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("API.example.com.", "api.example.com"),
        ("*.Example.com", "*.example.com"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::0:1]", "[::1]"),
    ],
)
def test_host_is_canonical(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text", ["", "*", "*.", "a:80", "a..b", "*.*.a", "a.*", "-a", "ä.de", "[::1]:80", "[x]", "a b", "a" * 64]
)
def test_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_host(text)


@pytest.mark.parametrize(
    ("value", "pattern"),
    [
        (True, ValuePattern("present")),
        (False, ValuePattern("absent")),
        ("gold", ValuePattern("equal", "gold")),
        ("~^g", ValuePattern("regex", "^g")),
        ("", ValuePattern("equal", "")),
    ],
)
def test_value_is_read(value: str | bool, pattern: ValuePattern) -> None:
    assert parse_value(value) == pattern
