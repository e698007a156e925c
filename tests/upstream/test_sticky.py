"""Sticky cookies: what the token is made of, and the line that sets it."""

import pytest

from tidegate.upstream.peer import Peer
from tidegate.upstream.sticky import cookie_line, endpoint_token
from tidegate.upstream.tls import TlsSettings

SECRET = bytes(range(32))
HERE = Peer("10.0.0.5", 9001)


def test_token_is_the_same_in_every_worker_and_after_every_restart() -> None:
    assert endpoint_token(SECRET, "orders", HERE) == b"4jAbN5OOF4glwum1"


def test_token_depends_on_secret_upstream_and_peer() -> None:
    tokens = {
        endpoint_token(SECRET, "orders", HERE),
        endpoint_token(SECRET[::-1], "orders", HERE),
        endpoint_token(SECRET, "billing", HERE),
        endpoint_token(SECRET, "orders", Peer("10.0.0.6", 9001)),
        endpoint_token(SECRET, "orders", Peer("10.0.0.5", 9002)),
        endpoint_token(SECRET, "orders", Peer("orders.internal", 9001, "10.0.0.5")),
        endpoint_token(SECRET, "orders", Peer("10.0.0.5", 9001, tls=TlsSettings(name="10.0.0.5"))),
        endpoint_token(SECRET * 4, "orders", HERE),
    }
    assert len(tokens) == 8
    assert all(len(token) == 16 and token.replace(b"-", b"").replace(b"_", b"").isalnum() for token in tokens)


def test_new_certificate_file_moves_nobody() -> None:
    old, new = (Peer("10.0.0.5", 9001, tls=TlsSettings(name="x", ca=path)) for path in ("/etc/old.pem", "/etc/new.pem"))
    assert endpoint_token(SECRET, "orders", old) == endpoint_token(SECRET, "orders", new)


def test_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes, got 15"):
        endpoint_token(SECRET[:15], "orders", HERE)


@pytest.mark.parametrize(
    ("ttl_s", "is_secure", "line"),
    [
        (None, False, b"Set-Cookie: node=tok; Path=/; HttpOnly; SameSite=Lax\r\n"),
        (None, True, b"Set-Cookie: node=tok; Path=/; HttpOnly; SameSite=Lax; Secure\r\n"),
        (3600.0, True, b"Set-Cookie: node=tok; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=3600\r\n"),
        (0.5, False, b"Set-Cookie: node=tok; Path=/; HttpOnly; SameSite=Lax; Max-Age=1\r\n"),
    ],
)
def test_cookie_line(ttl_s: float | None, is_secure: bool, line: bytes) -> None:
    assert cookie_line("node", b"tok", ttl_s=ttl_s, is_secure=is_secure) == line
