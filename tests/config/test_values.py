"""Durations, sizes and addresses: what is read, what is refused, and that what is shown is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.values import Address, format_duration, format_size, parse_address, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("5s", 5), ("1.5s", 1.5), ("1h30m", 5400), ("2d", 172800), ("10us", 1e-5), ("0s", 0)],
)
def test_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "5s ", "5sec", "1e3s", "5S", "1h30", "\u0665s", "5s\n"])
def test_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="with its unit"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("1B", 1), ("64KiB", 65536), ("1.5GiB", 3 << 29), ("10 MB", 10**7), ("0B", 0), ("1TiB", 1 << 40)]
)
def test_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "1", "KiB", "1kib", "1K", "-1B", "1  B", "1B\n"])
def test_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="with its unit"):
        parse_size(text)


@given(st.integers(1, 365 * 86400 * 1000))
def test_shown_duration_is_read_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@given(st.integers(0, 1 << 39))
def test_shown_size_is_read_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("Api.Example.COM.:443", Address("api.example.com", 443)),
        ("[2001:DB8::1]:80", Address("2001:db8::1", 80)),
        ("unix:/run/app.sock", Address(path="/run/app.sock")),
    ],
)
def test_address_is_read(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "host", ":80", "host:", "host:0", "host:65536", "host:+80", "::1:80", "[::1]", "[v6]:80", "unix:", "unix:a",
        f"unix:/{'x' * 107}", "unix:/a\0b", "-a:80", "a..b:80", "1.2.3:80", "1.2.3.4.5:80", "http://a:80",
        "a:\u0668\u0660", "a b:80",
    ],
)  # fmt: skip
def test_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("http://a:8080", '"a:8080"?'),
        ("http://a", '"a:80"?'),
        ("https://a/b", '"a:443"? TLS'),
        ("a:80/b", '"a:80"?'),
        ("http://[::1]:80/", '"[::1]:80"?'),
    ],
)
def test_url_is_refused_with_the_address_in_it(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match="neither scheme nor path") as refused:
        parse_address(text)
    assert meant in str(refused.value)


def test_address_knows_what_it_is() -> None:
    assert parse_address("unix:/a").is_unix
    assert parse_address("unix:/a").ip is None
    assert str(parse_address("[::1]:80").ip) == "::1"
    assert parse_address("host:80").ip is None
