"""Keys that signatures are verified with, and the algorithms that each is good for.

Which algorithm verifies a token is never the token's choice alone (RFC 8725, 3.1): a key says by its type, and its
curve, what it can verify, and a token that names another algorithm has no key. So a public key is never taken for the
secret of an HMAC, and there is no key for ``none``.

Of a JWK Set (RFC 7517) those keys are taken that are public, for signatures, and of a size that is neither broken nor
slow; others are passed over, as section 5 of it asks.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import cryptography.hazmat.backends.openssl.backend  # noqa: F401 - or the first verification would load it
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

__all__ = ["ALGORITHMS", "HMAC_BYTES", "KeySet", "VerificationKey"]

HMAC_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Least bytes of a secret for each algorithm: those of its hash (RFC 7518, 3.2)."""

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
ALGORITHMS: Final = (*HMAC_BYTES, *_RSA, *_CURVES.values(), "EdDSA")
"""All that can be asked for."""

_RSA_BITS: Final = range(2048, 4096 + 1)
_KEYS_MAX: Final = 100
_READERS: Final[dict[str, Any]] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}
_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One key.

    ``id`` is its ``kid``, None when it has none; ``algorithms`` are those that it verifies.
    """

    id: str | None
    algorithms: tuple[str, ...]
    key: PublicKey | bytes

    def __repr__(self) -> str:  # and never shows a secret
        return f"<VerificationKey {self.id} for {', '.join(self.algorithms)}>"


class KeySet:
    """Keys of one publisher. It does not change; ``digest`` tells two apart."""

    def __init__(self, keys: Iterable[VerificationKey], digest: bytes) -> None:
        self.keys = tuple(keys)
        self.digest = digest
        self._by_id: dict[tuple[str, str], VerificationKey] = {}
        self._by_algorithm: dict[str, list[VerificationKey]] = {}
        for one in self.keys:
            for algorithm in one.algorithms:
                self._by_algorithm.setdefault(algorithm, []).append(one)
                if one.id is not None:
                    self._by_id.setdefault((one.id, algorithm), one)

    @classmethod
    def of_jwks(cls, text: bytes) -> "KeySet":
        """The keys of a JWK Set; ValueError when it is none, or has no key that can be used."""
        try:
            found = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"is no JSON: {error}") from None
        listed = found.get("keys") if isinstance(found, dict) else None
        if not isinstance(listed, list):
            raise ValueError('is no JWK Set: a JSON object with an array "keys"')  # noqa: TRY004 - of the text, not a type
        if len(listed) > _KEYS_MAX:
            raise ValueError(f"has {len(listed)} keys; {_KEYS_MAX} are taken at most")
        keys = [key for one in listed if isinstance(one, dict) and (key := _read(one)) is not None]
        if not keys:
            raise ValueError(
                f"has no key that can be used, of {len(listed)}: public ones for signatures, RSA of 2048 to 4096 bits, "
                "EC on P-256, P-384 and P-521, Ed25519"
            )
        return cls(keys, hashlib.sha256(text).digest())

    @classmethod
    def of_secret(cls, secret: bytes) -> "KeySet":
        """A secret for HMACs; ValueError when it is shorter than the shortest of their hashes."""
        algorithms = tuple(name for name, least in HMAC_BYTES.items() if len(secret) >= least)
        if not algorithms:
            raise ValueError(f"the secret has {len(secret)} bytes; an HMAC needs 32 (RFC 7518, 3.2)")
        return cls([VerificationKey(None, algorithms, secret)], hashlib.sha256(secret).digest())

    def find(self, key_id: str | None, algorithm: str) -> VerificationKey | None:
        """The key for a token that names ``key_id``, or none: then there must be only one that could be meant."""
        if key_id is not None and (found := self._by_id.get((key_id, algorithm))) is not None:
            return found
        able = self._by_algorithm.get(algorithm, ())
        if key_id is not None:
            able = [one for one in able if one.id is None]
        return able[0] if len(able) == 1 else None

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        return f"<KeySet {', '.join(map(repr, self.keys))}>"


def _read(jwk: Mapping[str, Any]) -> VerificationKey | None:
    """A key of a set; None: it is not for us, or not sound."""
    operations = jwk.get("key_ops", ["verify"])
    if (
        jwk.get("use", "sig") != "sig"
        or not (isinstance(operations, list) and "verify" in operations)
        or any(member in jwk for member in _PRIVATE)  # somebody has published what only the signer may have
        or not isinstance(jwk.get("kid"), str | None)
        or not isinstance(kind := jwk.get("kty"), str)
        or kind not in _READERS
    ):
        return None
    try:
        key = _READERS[kind].from_jwk(dict(jwk))
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    algorithms = _algorithms_of(key)
    named = jwk.get("alg")
    if named is not None:
        algorithms = tuple(one for one in algorithms if one == named)
    return VerificationKey(jwk.get("kid"), algorithms, key) if algorithms else None


def _algorithms_of(key: Any) -> tuple[str, ...]:
    match key:
        case RSAPublicKey():
            return _RSA if key.key_size in _RSA_BITS else ()
        case EllipticCurvePublicKey():
            algorithm = _CURVES.get(key.curve.name)
            return () if algorithm is None else (algorithm,)
        case Ed25519PublicKey():
            return ("EdDSA",)
    return ()
