"""Host and the authority of an absolute-form target."""

import pytest

from tidegate.wire.view import RefusalError, RequestParser

pytestmark = pytest.mark.sanitize


def verdict(host: bytes, target: bytes = b"/") -> str:
    try:
        seen = RequestParser().feed(b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    except RefusalError as refused:
        return refused.name
    assert seen is not None
    return seen["host"].decode()


@pytest.mark.parametrize(
    "host",
    [
        b"a",
        b"example.com",
        b"EXAMPLE.com.",
        b"127.0.0.1",
        b"a:1",
        b"a:65535",
        b"under_score.example",
        b"a-b.c~d!$&'()*+;=",
        b"[::1]",
        b"[2001:db8::7]:8080",
        b"[::ffff:1.2.3.4]",
    ],
)
def test_authority_is_taken_as_sent(host: bytes) -> None:
    assert verdict(host) == host.decode()


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"user@a",
        b"a b",
        b"a,b",
        b"a\tb",
        b"a/b",
        b"a\\b",
        b"a?b",
        b"a#b",
        b"a%62",
        b'a"b',
        b"a<b>",
        b".a",
        b".",
        b"a..b",
        b":80",
        b"a:",
        b"a:+1",
        b"a:0x50",
        b"a:65536",
        b"a:000080",
        b"a:80:80",
        b"::1",
        b"[::1",
        b"[::1]x",
        b"[::1]:",
        b"[]",
        b"[1.2.3.4]",
        b"[::g]",
        b"[fe80::1%25eth0]",
        b"[:::]",
        b"[" + b"0" * 60 + b"]",
        b"\xc3\xa9.example",
    ],
)
def test_what_could_be_split_otherwise_is_refused(host: bytes) -> None:
    assert verdict(host) == "bad_host"


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"http://a/", b"a"),
        (b"http://A/", b"a"),
        (b"http://a:80/", b"a"),
        (b"http://a/", b"a:80"),
        (b"http://a/", b"a:080"),
        (b"https://a/", b"a:443"),
        (b"HTTPS://a:443", b"a"),
        (b"http://[::1]:8080/", b"[::1]:8080"),
    ],
)
def test_absolute_form_agrees_with_host(target: bytes, host: bytes) -> None:
    assert verdict(host, target) == target.split(b"//")[1].rstrip(b"/").decode()


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"http://a/", b"b"),
        (b"http://a/", b"a.b"),
        (b"http://a:81/", b"a"),
        (b"http://a/", b"a:443"),
        (b"https://a/", b"a:80"),
        (b"http://a_b/", b"a-b"),
        (b"http://a/", b"a."),
    ],
)
def test_absolute_form_that_disagrees_with_host_is_refused(target: bytes, host: bytes) -> None:
    assert verdict(host, target) == "target_host_mismatch"


@pytest.mark.parametrize("target", [b"http://", b"http:///", b"http://u@a/", b"http://a:/", b"http://a%41/"])
def test_absolute_form_with_no_proper_authority_is_a_bad_target(target: bytes) -> None:
    assert verdict(b"a", target) == "bad_target"
