"""One token against one key: signature, time, issuer, audience, claims.

PyJWT does the work; what is settled before it is asked is which key and which one algorithm it may use. A token says
what it wants in a head that anybody can write, so nothing in it is followed: not ``jku``, ``jwk``, ``x5u`` or ``x5c``
(whose keys these are, only the configuration says), and a head that must be understood beyond that (``crit``,
``b64``) is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import jwt
from jwt.exceptions import (
    DecodeError,
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)

from tidegate.filters.jwt.keys import VerificationKey

__all__ = ["REASONS", "TokenHead", "TokenRefused", "Verifier"]

REASONS: Final = {
    "token_malformed": "The token is not well-formed",
    "token_algorithm": "The token is signed in a way that is not accepted",
    "token_key_unknown": "The token is signed with a key that is not known",
    "token_signature": "The token's signature is wrong",
    "token_expired": "The token has expired",
    "token_not_yet_valid": "The token is not valid yet",
    "token_issuer": "The token is of another issuer",
    "token_audience": "The token is for somebody else",
    "token_claim_missing": "The token lacks a claim that is required",
    "token_claim": "A claim of the token cannot be used",
}
"""Why a token is refused, and the title of the answer."""

_REASON_OF: Final[dict[type[PyJWTError], str]] = {
    ExpiredSignatureError: "token_expired",
    ImmatureSignatureError: "token_not_yet_valid",
    InvalidAudienceError: "token_audience",
    InvalidIssuerError: "token_issuer",
    InvalidSignatureError: "token_signature",
    MissingRequiredClaimError: "token_claim_missing",
    DecodeError: "token_malformed",
}
# What a token that nobody has vouched for yet can make of a JSON parser: too deep, too large a number, none at all.
_UNREADABLE: Final = (ValueError, TypeError, KeyError, RecursionError, OverflowError)


class TokenRefused(Exception):
    """A token that lets nobody in; ``reason`` is one of `REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenHead(NamedTuple):
    """What a token says of its signature."""

    algorithm: str
    key_id: str | None


class Verifier:
    """What a token has to say to be accepted.

    Args:
        algorithms: Those that are accepted.
        issuers: Who may have issued it; none: anybody who has the key.
        audiences: For whom it may be, one of these; none: for anybody.
        required: Claims that it has to have.
        leeway_s: How far its clock and ours may differ.
    """

    def __init__(
        self,
        algorithms: Sequence[str],
        *,
        issuers: Sequence[str] = (),
        audiences: Sequence[str] = (),
        required: Sequence[str] = (),
        leeway_s: float = 0.0,
    ) -> None:
        self._algorithms = frozenset(algorithms)
        self._issuers = list(issuers) or None
        self._audiences = list(audiences) or None
        self._leeway_s = leeway_s
        self._options: Any = {"require": list(required), "verify_aud": bool(audiences), "verify_iss": bool(issuers)}

    def head(self, token: str) -> TokenHead:
        """Which algorithm and key a token names; TokenRefused when it is none that is accepted."""
        try:
            head = jwt.get_unverified_header(token)
        except (PyJWTError, *_UNREADABLE):
            raise TokenRefused("token_malformed") from None
        algorithm, key_id = head.get("alg"), head.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise TokenRefused("token_algorithm")
        if "crit" in head or "b64" in head or not isinstance(key_id, str | None):
            raise TokenRefused("token_malformed")
        return TokenHead(algorithm, key_id)

    def claims(self, token: str, head: TokenHead, key: VerificationKey) -> Mapping[str, Any]:
        """What the token says, once its signature and all else has been verified; TokenRefused otherwise."""
        if head.algorithm not in key.algorithms:
            raise TokenRefused("token_algorithm")
        try:
            return jwt.decode(
                token,
                key.key,
                algorithms=[head.algorithm],
                options=self._options,
                audience=self._audiences,
                issuer=self._issuers,
                leeway=self._leeway_s,
            )
        except PyJWTError as error:
            reason = next((_REASON_OF[cls] for cls in type(error).__mro__ if cls in _REASON_OF), "token_claim")
            raise TokenRefused(reason) from None
        except _UNREADABLE:
            raise TokenRefused("token_malformed") from None

    def __repr__(self) -> str:
        return f"<Verifier of {', '.join(sorted(self._algorithms))}>"
