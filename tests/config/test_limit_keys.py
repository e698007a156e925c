"""How parts of a key are spelt."""

import pytest

from tidegate.config.limit_keys import IPV6_PREFIX, KeyPart, parse_key_part


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("client.ip", KeyPart("client.ip", "", IPV6_PREFIX)),
        ("client.ip/128", KeyPart("client.ip", "", 128)),
        ("auth.tenant", KeyPart("auth.tenant")),
        ("header:X-Tenant", KeyPart("header", "X-Tenant")),
        ("constant:a:b c", KeyPart("constant", "a:b c")),
    ],
)
def test_part_is_read(text: str, part: KeyPart) -> None:
    assert parse_key_part(text) == part


@pytest.mark.parametrize(
    "text", ["", "ip", "client.ip/", "client.ip/7", "client.ip/129", "header:", "header:a b", "auth", "path:x"]
)
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|bits"):
        parse_key_part(text)
