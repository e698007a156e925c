"""One canonical path: every bypass by spelling, and what holds for any path."""

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.vectors import Case, load

from tidegate.wire.view import (
    PATH_ALLOW,
    PATH_REFUSALS,
    PathRefusalError,
    cookie,
    path_canonical,
    path_is_canonical,
    query_parameter,
)

pytestmark = pytest.mark.sanitize

CASES = load("paths.json")


def canonical(path: bytes, allow: int = 0) -> bytes | str:
    try:
        return path_canonical(path, allow)
    except PathRefusalError as refused:
        return refused.name


@pytest.mark.parametrize("case", CASES, ids=str)
def test_path_vector(case: Case) -> None:
    path = case.all["path"].encode("latin-1")
    allow = sum(PATH_ALLOW[name] for name in case.all.get("allow", []))
    wanted = case.refused or case.all["canonical"].encode("latin-1")
    assert canonical(path, allow) == wanted
    if not allow:
        assert path_is_canonical(path) == (wanted == path)


def test_every_path_refusal_has_a_case() -> None:
    assert {case.refused for case in CASES if case.refused} == PATH_REFUSALS


@pytest.mark.parametrize(
    "spelling",
    [
        b"/admin/x",
        b"//admin/x",
        b"/%61dmin/x",
        b"/./admin/x",
        b"/a/../admin/x",
        b"/admin//x",
        b"/admin/./x",
        b"/%61%64%6D%69%6e/%78",
        b"/public/..;/admin/x",
        b"/public/%2e%2e/admin/x",
        b"/public/..%2fadmin/x",
        b"/public%2f..%2fadmin/x",
        b"/public\\..\\admin/x",
        b"/admin%2fx",
        b"/..;/admin/x",
        b"/%2fadmin/x",
        b"/admin%00/x",
    ],
)
def test_no_spelling_reaches_a_path_around_its_rule(spelling: bytes) -> None:
    """What is matched is what is sent: the rule for /admin/ sees the path, or it is refused."""
    found = canonical(spelling)
    assert isinstance(found, str) or found == b"/admin/x"


SEGMENTS = st.sampled_from(
    b"a b .. . ... ; ..; .; %2e %2E%2e .%2e a%2e %61 %7e %2F %2f %5c %5C %00 \\ %3b %3B %25 %zz % %c3 a;b ..a ~".split()
) | st.sampled_from([b"", b"\xe9", b"\x00", b" ", b"\x7f"])
PATHS = st.lists(st.lists(SEGMENTS, max_size=3).map(b"".join), max_size=6).map(lambda parts: b"/" + b"/".join(parts))
ALLOW = st.integers(0, 31)


@given(PATHS | st.binary(max_size=30), ALLOW)
def test_canonical_form_is_its_own(path: bytes, allow: int) -> None:
    found = canonical(path, allow)
    if isinstance(found, bytes):
        assert canonical(found, allow) == found
        assert len(found) <= len(path)
        if not allow:
            assert path_is_canonical(found)


@given(PATHS | st.binary(max_size=30))
def test_is_canonical_says_what_canonical_path_does(path: bytes) -> None:
    assert path_is_canonical(path) == (canonical(path) == path)


@given(PATHS)
def test_nothing_is_left_to_resolve(path: bytes) -> None:
    found = canonical(path)
    if isinstance(found, bytes):
        assert not re.search(rb"//|/\.\.?(?:/|;|%3B|$)|%2F|%5C|%00|[\x80-\xff\\\x00-\x20\x7f]", found)
        for triplet in re.findall(rb"%..", found):
            assert triplet == triplet.upper()
            assert not re.fullmatch(rb"[A-Za-z0-9._~-]", unquote_to_bytes(triplet))


@given(PATHS, ALLOW)
def test_allowing_more_refuses_nothing_more(path: bytes, allow: int) -> None:
    found = canonical(path)
    if isinstance(found, bytes):
        assert canonical(path, allow) == found


def resolved(path: bytes) -> bytes | None:
    """RFC 3986 remove_dot_segments over segments that are not empty; None above the root."""
    out: list[bytes] = []
    segments = path.split(b"/")[1:]
    for at, segment in enumerate(segments):
        last = at == len(segments) - 1
        if segment == b"..":
            if not out:
                return None
            out.pop()
        if segment in (b"..", b".", b""):
            if last:
                out.append(b"")
        else:
            out.append(segment)
    return b"/" + b"/".join(out)


@given(st.lists(st.sampled_from([b"a", b"b", b"..", b".", b"", b"c.d"]), min_size=1, max_size=8))
def test_dot_segments_are_removed_as_the_rfc_says(segments: list[bytes]) -> None:
    path = b"/" + b"/".join(segments)
    wanted = resolved(path)
    assert canonical(path) == ("path_above_root" if wanted is None else wanted)


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        (b"a=1&b=2", b"b", b"2"),
        (b"a=1&a=2", b"a", b"1"),
        (b"a=1", b"b", None),
        (b"", b"a", None),
        (b"a", b"a", b""),
        (b"a=", b"a", b""),
        (b"&&a=1&", b"a", b"1"),
        (b"ab=1&a=2", b"a", b"2"),
        (b"a=b=c", b"a", b"b=c"),
        (b"%75ser=1", b"user", b"1"),
        (b"a+b=1", b"a b", b"1"),
        (b"a%20b=%31", b"a b", b"%31"),
        (b"%zz=1", b"%zz", b"1"),
        (b"=1", b"", b"1"),
        (b"a;b=1", b"b", None),
    ],
)
def test_query_parameter(query: bytes, name: bytes, value: bytes | None) -> None:
    assert query_parameter(query, name) == value


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        (b"a=1; b=2", b"b", b"2"),
        (b"a=1;b=2", b"b", b"2"),
        (b"a=1; a=2", b"a", b"1"),
        (b"aa=1; a=2", b"a", b"2"),
        (b"a=1", b"A", None),
        (b"a", b"a", None),
        (b"", b"a", None),
        (b"a=", b"a", b""),
        (b" a=b=c \t; d", b"a", b"b=c"),
        (b'a="x y"', b"a", b'"x y"'),
        (b"b; a=1", b"a", b"1"),
        (b"x=a=1", b"a", None),
    ],
)
def test_cookie(text: bytes, name: bytes, value: bytes | None) -> None:
    assert cookie(text, name) == value
