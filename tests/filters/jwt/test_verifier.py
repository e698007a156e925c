"""One token against one key."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from tests.filters.issuers import SECRET, Issuer, private_key

from tidegate.filters.jwt.keys import ALGORITHMS, KeySet, VerificationKey
from tidegate.filters.jwt.verifier import REASONS, TokenRefused, Verifier

NOW = int(time.time())
ISSUERS = [
    Issuer("RSA", "RS256"), Issuer("RSA", "RS384"), Issuer("RSA", "RS512"), Issuer("RSA", "PS256"),
    Issuer("RSA", "PS384"), Issuer("RSA", "PS512"), Issuer("EC", "ES256"), Issuer("OKP", "EdDSA"),
]  # fmt: skip
EC = Issuer()
EC_KEYS = KeySet.of_jwks(EC.jwks)


def verified(token: str, keys: KeySet = EC_KEYS, **options: Any) -> Any:
    """As the filter does it."""
    verifier = Verifier(options.pop("algorithms", ALGORITHMS), **options)
    head = verifier.head(token)
    key = keys.find(head.key_id, head.algorithm)
    if key is None:
        raise TokenRefused("token_key_unknown")
    return verifier.claims(token, head, key)


def refused(token: str, keys: KeySet = EC_KEYS, **options: Any) -> str:
    with pytest.raises(TokenRefused) as caught:
        verified(token, keys, **options)
    assert caught.value.reason in REASONS
    return caught.value.reason


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(head: Any, body: Any = None, signature: bytes = b"x" * 64) -> str:
    return ".".join(map(encoded, (head, body or {"sub": "ann"}, signature)))


@pytest.mark.parametrize("issuer", ISSUERS, ids=lambda one: one.algorithm)
def test_token_of_each_algorithm_is_read(issuer: Issuer) -> None:
    keys = KeySet.of_jwks(issuer.jwks)
    assert verified(issuer.token(role="x"), keys)["role"] == "x"
    assert refused(issuer.token(), keys, algorithms=["HS256"]) == "token_algorithm"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384"])
def test_secret_verifies_hmacs(algorithm: str) -> None:
    keys = KeySet.of_secret(SECRET.encode())
    assert verified(jwt.encode({"sub": "ann"}, SECRET, algorithm), keys)["sub"] == "ann"
    assert refused(jwt.encode({"sub": "ann"}, SECRET + "!", algorithm), keys) == "token_signature"


def test_signature_of_another_key_or_of_other_claims_is_refused() -> None:
    assert refused(Issuer(number=1).token()) == "token_signature"
    head, _, signature = EC.token().split(".")
    assert refused(f"{head}.{encoded({'sub': 'root', 'exp': NOW + 60})}.{signature}") == "token_signature"
    assert refused(f"{head}.{encoded({'sub': 'root'})}.") == "token_signature"


def test_nothing_unsigned_is_accepted() -> None:
    for name in ("none", "None", "NONE", "nOnE", "", "HS256 "):
        for signature in (b"", b"x"):
            assert refused(forged({"alg": name}, signature=signature)) == "token_algorithm"
    for value in (None, 1, [], {}, True):
        assert refused(forged({"alg": value})) == "token_algorithm"
    assert refused(forged({})) == "token_algorithm"


@pytest.mark.parametrize("issuer", [Issuer("RSA", "RS256"), Issuer("EC", "ES256"), Issuer("OKP", "EdDSA")])
def test_public_key_is_never_the_secret_of_an_hmac(issuer: Issuer) -> None:
    public = private_key(issuer.kind).public_key()
    spellings = [issuer.jwks, json.dumps(issuer.jwk).encode()]
    spellings += [
        public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
        for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER)
    ]
    keys = KeySet.of_jwks(issuer.jwks)
    for secret in spellings:
        for kid in ({}, {"kid": "k0"}):
            text = f"{encoded({'alg': 'HS256', **kid})}.{encoded({'sub': 'root', 'exp': NOW + 60})}"
            signature = hmac.digest(secret, text.encode(), hashlib.sha256)
            assert refused(f"{text}.{encoded(signature)}", keys) == "token_key_unknown"


def test_key_is_not_used_for_an_algorithm_that_is_not_its_own() -> None:
    """Even by a caller who has found the wrong key."""
    verifier = Verifier(ALGORITHMS)
    token = jwt.encode({"sub": "ann"}, SECRET, "HS256")
    key = VerificationKey("k", ("HS512",), SECRET.encode())
    with pytest.raises(TokenRefused) as caught:
        verifier.claims(token, verifier.head(token), key)
    assert caught.value.reason == "token_algorithm"


def test_keys_that_a_token_brings_along_are_not_looked_at() -> None:
    other = Issuer(number=1)
    for head in (
        {"jwk": other.jwk},
        {"jku": "http://127.0.0.1:1/keys"},
        {"x5u": "http://127.0.0.1:1/"},
        {"x5c": ["AAAA"]},
    ):
        assert refused(other.token(head=head)) == "token_signature"
        assert verified(EC.token(head=head))["sub"] == "ann"


@pytest.mark.parametrize("head", [{"crit": ["exp"]}, {"crit": []}, {"b64": True}, {"b64": False, "crit": ["b64"]}])
def test_head_that_has_to_be_understood_further_is_refused(head: dict[str, Any]) -> None:
    assert refused(forged({"alg": "ES256", "kid": "k0", **head})) == "token_malformed"


@pytest.mark.parametrize(
    ("claims", "options", "reason"),
    [
        ({"exp": NOW - 60}, {}, "token_expired"),
        ({"exp": NOW - 60}, {"leeway_s": 600}, None),
        ({"nbf": NOW + 600}, {}, "token_not_yet_valid"),
        ({"nbf": NOW + 60}, {"leeway_s": 600}, None),
        ({"iat": NOW + 600}, {}, "token_not_yet_valid"),
        ({"exp": None}, {}, None),
        ({"exp": None}, {"required": ["exp"]}, "token_claim_missing"),
        ({"exp": "soon"}, {}, "token_malformed"),
        ({"exp": [1]}, {}, "token_malformed"),
        ({"exp": float("inf")}, {}, "token_malformed"),
        ({"exp": float("nan")}, {}, "token_malformed"),
        ({"iss": "us"}, {"issuers": ["us", "them"]}, None),
        ({"iss": "eve"}, {"issuers": ["us", "them"]}, "token_issuer"),
        ({"iss": "us/"}, {"issuers": ["us"]}, "token_issuer"),
        ({}, {"issuers": ["us"]}, "token_claim_missing"),
        ({"aud": "api"}, {"audiences": ["api", "web"]}, None),
        ({"aud": ["x", "web"]}, {"audiences": ["api", "web"]}, None),
        ({"aud": ["x"]}, {"audiences": ["api"]}, "token_audience"),
        ({"aud": 7}, {"audiences": ["api"]}, "token_audience"),
        ({}, {"audiences": ["api"]}, "token_claim_missing"),
        ({"aud": "web"}, {}, None),
        ({"jti": "a"}, {"required": ["jti", "sub"]}, None),
        ({}, {"required": ["jti"]}, "token_claim_missing"),
    ],
)
def test_claims_are_held_against_what_is_wanted(
    claims: dict[str, Any], options: dict[str, Any], reason: str | None
) -> None:
    token = EC.token(**claims)
    if reason is None:
        assert verified(token, **options)["sub"] == "ann"
    else:
        assert refused(token, **options) == reason


SIGNED = {"alg": "ES256", "kid": "k0"}


@pytest.mark.parametrize(
    "token",
    [
        "", ".", "..", "...", "a.b.c", "a.b.c.d", "é.é.é", forged(b"{"), forged(b"[]"), forged(b"1"), forged(b"null"),
        forged(b"[" * 6000), forged(b'{"alg":' + b"[" * 3000), forged(b'{"alg":"ES256","x":' + b"9" * 6000 + b"}"),
        forged(b"\xff\xfe"), forged({"alg": "ES256", "kid": 7}), forged({"alg": "ES256", "kid": ["k0"]}),
    ],
)  # fmt: skip
def test_token_that_is_none_is_malformed(token: str) -> None:
    assert refused(token) == "token_malformed"


@pytest.mark.parametrize(
    "body", [b"[]", b"1", b"null", b'"a"', b"{", b"\xff", b"[" * 20_000, b'{"exp":' + b"9" * 6000 + b"}"]
)
def test_signed_body_that_is_no_object_is_refused(body: bytes) -> None:
    token = jwt.api_jws.encode(body, private_key("EC"), "ES256", {"kid": "k0"})
    assert refused(token) == "token_malformed"


@given(st.text(max_size=200))
def test_whatever_comes_is_refused_with_a_reason(text: str) -> None:
    refused(text)


@given(st.data())
def test_no_changed_token_is_accepted(data: st.DataObject) -> None:
    token = EC.token()
    at = data.draw(st.integers(0, len(token) - 1))
    put = data.draw(st.sampled_from("Aa0_-.=%"))
    changed = token[:at] + put + token[at + 1 :]
    try:
        claims = verified(changed)
    except TokenRefused:
        return
    assert claims == verified(token)  # the last bits of a base64 group may be whatever they are


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8), st.lists, max_leaves=5)
)
def test_signed_claims_of_any_kind_are_read_or_refused(value: Any) -> None:
    for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti"):
        try:
            token = jwt.api_jws.encode(json.dumps({name: value}).encode(), private_key("EC"), "ES256", {"kid": "k0"})
            claims = verified(token, audiences=["a"] if name == "aud" else (), issuers=["a"] if name == "iss" else ())
        except TokenRefused:
            continue
        assert list(claims) == [name]
