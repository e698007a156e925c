"""Sticky by cookie: a client that has been served by an endpoint comes back to it, as long as it is usable.

The cookie holds a token, not an address: a digest of upstream and peer under a secret. It tells a client nothing about
what stands behind the gateway, cannot be made up for an endpoint one would like, and is the same in every worker and
after every restart, because nothing but the secret, the name and the peer goes into it.
"""

import base64
import hashlib

from tidegate.upstream.peer import Peer

__all__ = ["cookie_line", "endpoint_token"]

TOKEN_BYTES = 12
LEAST_SECRET = 16


def endpoint_token(secret: bytes, upstream: str, peer: Peer) -> bytes:
    """The value of the cookie for ``peer`` in ``upstream``: 16 characters of URL-safe base64.

    Args:
        secret: At least 16 random bytes, the same in all workers.
        upstream: Its name: one cookie of two upstreams says nothing about the other.
        peer: Whom the client is to come back to; its TLS settings are left out, so that a new certificate file moves
            nobody.
    """
    if len(secret) < LEAST_SECRET:
        raise ValueError(f"the secret of sticky cookies has at least {LEAST_SECRET} bytes, got {len(secret)}")
    identity = f"{upstream}\0{peer.scheme}\0{peer.host}\0{peer.label}".encode()
    key = secret if len(secret) <= hashlib.blake2b.MAX_KEY_SIZE else hashlib.blake2b(secret).digest()
    digest = hashlib.blake2b(identity, key=key, digest_size=TOKEN_BYTES, person=b"tidegate-sticky").digest()
    return base64.urlsafe_b64encode(digest)


def cookie_line(cookie: str, token: bytes, *, ttl_s: float | None, is_secure: bool) -> bytes:
    """The whole ``Set-Cookie`` line, with CRLF.

    Args:
        cookie: Name of the cookie.
        token: From ``endpoint_token``.
        ttl_s: How long the client keeps it; None: until it is closed.
        is_secure: Whether the client came over TLS, and is to send the cookie only over TLS.
    """
    line = b"Set-Cookie: %b=%b; Path=/; HttpOnly; SameSite=Lax" % (cookie.encode("ascii"), token)
    if is_secure:
        line += b"; Secure"
    if ttl_s is not None:
        line += b"; Max-Age=%d" % max(1, int(ttl_s))
    return line + b"\r\n"
