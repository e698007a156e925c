"""Keys that signatures are verified with."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from tests.filters.issuers import SECRET, jwks, private_key, public_jwk

from tidegate.filters.jwt.keys import ALGORITHMS, KeySet

ASYMMETRIC = [name for name in ALGORITHMS if not name.startswith("HS")]


@pytest.mark.parametrize(
    ("kind", "algorithms"),
    [("RSA", {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}), ("EC", {"ES256"}), ("OKP", {"EdDSA"})],
)
def test_key_is_good_for_the_algorithms_of_its_kind_only(kind: str, algorithms: set[str]) -> None:
    keys = KeySet.of_jwks(jwks(public_jwk(kind, kid="k")))
    assert {name for name in ALGORITHMS if keys.find("k", name) is not None} == algorithms


def test_key_that_names_an_algorithm_has_no_other() -> None:
    keys = KeySet.of_jwks(jwks(public_jwk("RSA", kid="k", alg="PS384")))
    assert [name for name in ALGORITHMS if keys.find("k", name) is not None] == ["PS384"]
    with pytest.raises(ValueError, match="no key that can be used"):
        KeySet.of_jwks(jwks(public_jwk("RSA", kid="k", alg="HS256")))


def test_secret_is_for_hmacs_that_it_is_long_enough_for() -> None:
    keys = KeySet.of_secret(SECRET.encode())
    assert [name for name in ALGORITHMS if keys.find(None, name) is not None] == ["HS256", "HS384"]
    assert keys.find("whatever", "HS256") is not None
    assert keys.find("whatever", "RS256") is None
    assert SECRET not in repr(keys)
    with pytest.raises(ValueError, match="32"):
        KeySet.of_secret(b"x" * 31)


def test_token_without_a_key_id_has_a_key_where_only_one_can_be_meant() -> None:
    one = KeySet.of_jwks(jwks(public_jwk("EC", kid="a"), public_jwk("RSA", kid="b")))
    assert one.find(None, "ES256") is not None
    two = KeySet.of_jwks(jwks(public_jwk("EC", kid="a"), public_jwk("EC", 1, kid="b")))
    assert two.find(None, "ES256") is None
    assert two.find("a", "ES256") is not two.find("b", "ES256")
    assert two.find("c", "ES256") is None


def test_key_without_an_id_is_for_any_id_where_it_is_alone() -> None:
    keys = KeySet.of_jwks(jwks(public_jwk("EC"), public_jwk("RSA", kid="r")))
    assert keys.find("whatever", "ES256") is not None
    assert keys.find("whatever", "RS256") is None


def small_rsa() -> dict[str, Any]:
    found: dict[str, Any] = RSAAlgorithm.to_jwk(
        rsa.generate_private_key(65537, 1024).public_key(),
        as_dict=True,
    )
    return found


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}, {"kty": "RSA"}, {"kty": "RSA", "n": 1},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": ["RSA"]},
        {"kty": "EC", "crv": "P-256"}, {"kty": "OKP", "crv": "Ed25519", "x": "!"}, {"kty": "XYZ"},
        {**public_jwk("EC"), "use": "enc"}, {**public_jwk("EC"), "key_ops": ["sign"]}, {**public_jwk("EC"), "kid": 7},
        {**public_jwk("EC"), "alg": "none"}, {**public_jwk("EC"), "alg": "ES384"}, {**public_jwk("EC"), "use": 1},
        ECAlgorithm.to_jwk(private_key("EC"), as_dict=True), RSAAlgorithm.to_jwk(private_key("RSA"), as_dict=True),
        ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256K1()).public_key(), as_dict=True),
        OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate().public_key(), as_dict=True), small_rsa(),
        {**public_jwk("EC"), "x": public_jwk("EC", 1)["x"]},
    ],
)  # fmt: skip
def test_key_that_cannot_be_used_is_passed_over(jwk: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no key that can be used"):
        KeySet.of_jwks(jwks(jwk))
    assert len(KeySet.of_jwks(jwks(jwk, public_jwk("EC", kid="k")))) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b"{}", b'{"keys": null}', b'{"keys": {}}', b'{"keys": []}', b'{"keys": [1, null, "a"]}',
        b"\xff", b"[" * 100_000, json.dumps({"keys": [{}] * 101}).encode(), b'{"keys": [{"kty": "RSA"}',
    ],
)  # fmt: skip
def test_what_is_no_key_set_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each says something else
        KeySet.of_jwks(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.dictionaries(
    st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops", "d"]),
    JSON | st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "sig"]),
)


@given(st.lists(MEMBERS, max_size=4))
def test_whatever_is_published_is_keys_or_a_value_error(keys: list[dict[str, Any]]) -> None:
    try:
        found = KeySet.of_jwks(jwks(*keys))
    except ValueError:
        return
    assert all(set(one.algorithms) <= set(ASYMMETRIC) for one in found.keys)
