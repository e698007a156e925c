"""What a token costs the loop: one that is known, and verifying one for each kind of key.

Verifying is all of ``jwt_auth``'s work on a token that it has not seen: its head, the key, the signature, the claims,
and whom they name. A known token is the whole filter, from the fields of the request to those that the upstream gets.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from benchmarks.micro.filters import HEADERS
from tidegate import testing
from tidegate.filters.jwt.keys import KeySet
from tidegate.filters.jwt_auth import JwtAuth
from tidegate.filters.tokens.principal import Principal
from tidegate.testing.exchange import repeat

SECRET = "a secret that is known to nobody but this benchmark, of 64 bytes!"
CLAIMS: dict[str, Any] = {
    "iss": "https://login.example.com/",
    "aud": ["api", "web"],
    "sub": "auth0|64f0c9d1a2b3c4d5e6f70819",
    "iat": int(time.time()),
    "exp": int(time.time()) + 86_400,
    "scope": "openid profile email orders:read orders:write",
    "org": {"id": "org_7fa3", "plan": "gold"},
}
OPTIONS: dict[str, Any] = {
    "issuer": ["https://login.example.com/"],
    "audience": ["api"],
    "headers": {"X-User": "sub", "X-Plan": "org.plan"},
    "tenant": "org.id",
    "tier": "org.plan",
}
KINDS: dict[str, tuple[Callable[[], Any], Any]] = {
    "RS256, 2048 bits": (lambda: rsa.generate_private_key(65537, 2048), RSAAlgorithm),
    "RS256, 4096 bits": (lambda: rsa.generate_private_key(65537, 4096), RSAAlgorithm),
    "PS256, 2048 bits": (lambda: rsa.generate_private_key(65537, 2048), RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "ES384": (lambda: ec.generate_private_key(ec.SECP384R1()), ECAlgorithm),
    "ES512": (lambda: ec.generate_private_key(ec.SECP521R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
}


def _made(jwks: bytes) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jwks.json"
        path.write_bytes(jwks)
        made = testing.make(JwtAuth, jwks_file=str(path), **OPTIONS)
        asyncio.run(made._source.newer())  # noqa: SLF001 - what it reads is gone afterwards
    return made


def _verifies(kind: str) -> Callable[[int], None]:
    generate, writer = KINDS[kind]
    key = generate()
    jwks = json.dumps({"keys": [{**writer.to_jwk(key.public_key(), as_dict=True), "kid": "k"}]}).encode()
    token = jwt.encode(CLAIMS, key, kind.partition(",")[0], {"kid": "k"})
    return _repeated(_made(jwks), token, KeySet.of_jwks(jwks))


def _verifies_hmac() -> Callable[[int], None]:
    keys = KeySet.of_secret(SECRET.encode())
    made = testing.make(JwtAuth, secret=SECRET, **OPTIONS)
    return _repeated(made, jwt.encode(CLAIMS, SECRET, "HS256"), keys)


def _repeated(made: Any, token: str, keys: KeySet) -> Callable[[int], None]:
    verify = made._verify  # noqa: SLF001 - without the bound on a turn, which would be measured instead
    assert isinstance(verify(token, b"", keys), Principal)

    def run(n: int) -> None:
        for _ in range(n):
            verify(token, b"", keys)

    return run


def _known() -> Callable[[int], None]:
    made = testing.make(JwtAuth, secret=SECRET, **OPTIONS)
    token = jwt.encode(CLAIMS, SECRET, "HS256")
    request = testing.request("GET", "/orders/42", headers={**HEADERS, "Authorization": f"Bearer {token}"})

    async def first() -> None:
        made.judge(token, b"")

    asyncio.run(first())

    def run(n: int) -> None:
        async def known() -> None:
            repeat(request, made.on_request, n)

        asyncio.run(known())

    return run


CASES: dict[str, Callable[[int], None]] = {
    "the whole filter, a known token": _known(),
    "verify HS256": _verifies_hmac(),
    **{f"verify {kind}": _verifies(kind) for kind in KINDS},
}
