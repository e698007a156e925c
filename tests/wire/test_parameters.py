"""Fields, cookies and query parameters by name, where they stand in a head."""

import pytest

from tidegate.wire.parameters import parameter

pytestmark = pytest.mark.sanitize

HEAD = (
    b"GET /x?a=1&b=%20two&empty HTTP/1.1\r\nHost: h\r\nX-Tenant:  acme \r\nx_tenant: other\r\n"
    b"Cookie: a=0; sid=one\r\nCookie: sid=two; last=3\r\n\r\n"
)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("header", b"x-tenant", b"acme"),
        ("header", b"X_Tenant", b"acme"),
        ("header", b"x-tenan", None),
        ("cookie", b"sid", b"one"),
        ("cookie", b"last", b"3"),
        ("cookie", b"SID", None),
        ("query", b"a", b"1"),
        ("query", b"b", b"%20two"),
        ("query", b"empty", b""),
        ("query", b"c", None),
    ],
)
def test_first_value_of_a_name_is_found_where_it_stands(kind: str, name: bytes, value: bytes | None) -> None:
    assert parameter(kind, name, HEAD) == value


def test_head_that_is_not_whole_has_no_parameters() -> None:
    with pytest.raises(ValueError, match="not a whole"):
        parameter("header", b"a", HEAD[:-2])


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("header", b"host", b"h"),
        ("header", b"x-tenant", None),  # the other is spelt with "_"
        ("header", b"x-tenan", None),
        ("cookie", b"a", b"0"),
        ("cookie", b"last", b"3"),
        ("cookie", b"sid", None),
        ("cookie", b"SID", None),
        ("query", b"a", b"1"),
        ("query", b"b", b"%20two"),
        ("query", b"empty", b""),
        ("query", b"c", None),
    ],
)
def test_only_value_of_a_name_is_found_and_one_of_several_is_not(kind: str, name: bytes, value: bytes | None) -> None:
    assert parameter(kind, name, HEAD, is_only=True) == value


@pytest.mark.parametrize("query", [b"u=1&u=2", b"u=1&u=1", b"u&u=1", b"u=1&u", b"u&u", b"u=1&x&%75=2", b"&u=&&u=&"])
def test_parameter_that_is_there_again_in_any_spelling_is_none(query: bytes) -> None:
    head = b"GET /x?" + query + b" HTTP/1.1\r\nHost: h\r\n\r\n"
    assert parameter("query", b"u", head) is not None
    assert parameter("query", b"u", head, is_only=True) is None


@pytest.mark.parametrize("cookies", [b"u=1; u=2", b"u=1;u=1", b"u=; x=1; u=", b"u=1\r\nCookie: u=2"])
def test_cookie_that_is_there_again_in_any_field_is_none(cookies: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: h\r\nCookie: " + cookies + b"\r\n\r\n"
    assert parameter("cookie", b"u", head) is not None
    assert parameter("cookie", b"u", head, is_only=True) is None


def test_value_is_found_behind_pieces_that_are_nothing() -> None:
    head = b"GET /?&&x=u&u=1& HTTP/1.1\r\nHost: h\r\nCookie: ;; x=u;  u=1 ;\r\n\r\n"
    assert parameter("query", b"u", head, is_only=True) == b"1"
    assert parameter("cookie", b"u", head, is_only=True) == b"1"
