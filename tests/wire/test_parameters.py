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
