"""Issuers of tokens under test: their keys, what they publish, and a server that publishes it."""

from __future__ import annotations

import functools
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

SECRET = "a secret of an HMAC has thirty-two bytes or more"


def private_key(kind: str, number: int = 0) -> Any:
    """A key of a kind; the same for the same number, because RSA takes its time to find one."""
    return _private_key(kind, number)


@functools.cache
def _private_key(kind: str, number: int) -> Any:
    match kind:
        case "RSA":
            return rsa.generate_private_key(65537, 2048)
        case "EC":
            return ec.generate_private_key(ec.SECP256R1())
        case "OKP":
            return ed25519.Ed25519PrivateKey.generate()
    raise AssertionError(f"no key {number} of kind {kind}")


def public_jwk(kind: str, number: int = 0, **members: Any) -> dict[str, Any]:
    """Its public half as a JWK."""
    writer: Any = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}[kind]
    found: dict[str, Any] = writer.to_jwk(private_key(kind, number).public_key(), as_dict=True)
    return {**found, **members}


@dataclass
class Issuer:
    """One key of a kind, with tokens signed by it."""

    kind: str = "EC"
    algorithm: str = "ES256"
    number: int = 0
    kid: str | None = "k0"

    @property
    def jwk(self) -> dict[str, Any]:
        return public_jwk(self.kind, self.number, **({} if self.kid is None else {"kid": self.kid}))

    @property
    def jwks(self) -> bytes:
        return jwks(self.jwk)

    def token(self, *, head: dict[str, Any] | None = None, **claims: Any) -> str:
        """Signed, and good for an hour unless ``exp`` says otherwise (None: it says nothing)."""
        body = {"sub": "ann", "exp": int(time.time()) + 3600} | claims
        body = {name: value for name, value in body.items() if value is not None}
        fields = ({} if self.kid is None else {"kid": self.kid}) | (head or {})
        return jwt.encode(body, private_key(self.kind, self.number), self.algorithm, fields)


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


class Publisher:
    """A server on loopback; ``answer`` is what it says, ``asked`` counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Callable[[http.server.BaseHTTPRequestHandler], None] = lambda handler: say(handler, b"{}")
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/keys"

    def publish(self, document: bytes, status: int = 200) -> None:
        """Answers with this from now on."""
        self.answer = lambda handler: say(handler, document, status)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(30)


def say(handler: http.server.BaseHTTPRequestHandler, document: bytes, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(document)))
    handler.end_headers()
    handler.wfile.write(document)


@contextmanager
def publishing(document: bytes) -> Iterator[Publisher]:
    """A publisher of this document, for as long as the block."""
    publisher = Publisher()
    publisher.publish(document)
    try:
        yield publisher
    finally:
        publisher.close()
