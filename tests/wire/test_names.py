"""One identity for a field name, however it is spelt."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidegate.wire
from tidegate.wire.view import field_identity, field_value, hash_name, names_equal, token

pytestmark = pytest.mark.sanitize

HEADER = (Path(tidegate.wire.__file__).parent / "names.pxd").read_text()
# The enumerators are the specification: FIELD_CONTENT_LENGTH is "content-length".
KNOWN = {
    name.lower().replace("_", "-").encode(): number
    for number, name in enumerate(re.findall(r"^    FIELD_(\w+)", HEADER, re.MULTILINE))
    if name not in {"OTHER", "ID_COUNT"}
}
TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
TOKENS = st.lists(st.sampled_from(TOKEN_BYTES), min_size=1, max_size=24).map(bytes)
NAMES = TOKENS | st.sampled_from(sorted(KNOWN))


def folded(name: bytes) -> bytes:
    return name.lower().replace(b"_", b"-")


@st.composite
def respelt(draw: st.DrawFn) -> bytes:
    """A known name in any case, with "_" for some "-"."""
    name = draw(st.sampled_from(sorted(KNOWN)))
    swaps = draw(st.lists(st.integers(0, 2), min_size=len(name), max_size=len(name)))
    out = bytearray()
    for byte, swap in zip(name, swaps, strict=True):
        spelt = bytes([byte])
        out += spelt.upper() if swap == 1 else b"_" if swap == 2 and spelt == b"-" else spelt
    return bytes(out)


def test_header_declares_what_the_tests_expect() -> None:
    assert len(KNOWN) == 32
    assert KNOWN[b"host"] == 1


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_known_name_is_known_in_every_case(name: bytes) -> None:
    for spelt in (name, name.upper(), name.title(), name.replace(b"-", b"_")):
        assert field_identity(spelt) == KNOWN[name]


@given(respelt())
def test_known_name_is_known_however_spelt(name: bytes) -> None:
    assert field_identity(name) == KNOWN[folded(name)]


@given(NAMES)
def test_identity_agrees_with_a_dictionary(name: bytes) -> None:
    assert field_identity(name) == KNOWN.get(folded(name), 0)


@given(respelt(), st.data())
def test_one_byte_away_from_a_known_name_is_another_name(name: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name) - 1))
    byte = data.draw(st.sampled_from(TOKEN_BYTES))
    changed = name[:at] + bytes([byte]) + name[at + 1 :]
    assert field_identity(changed) == KNOWN.get(folded(changed), 0)


@given(NAMES, NAMES)
def test_same_name_is_equality_of_folded_names(a: bytes, b: bytes) -> None:
    assert names_equal(a, b) == (folded(a) == folded(b))
    assert names_equal(a, a.swapcase())
    assert hash_name(a) == hash_name(a.swapcase().replace(b"-", b"_"))


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_same_name_folds_nothing_but_letters_and_underscore(a: bytes, b: bytes) -> None:
    assert names_equal(a, b) == (folded(a) == folded(b))


def test_hashes_of_different_names_differ() -> None:
    assert len({hash_name(name) for name in KNOWN}) == len(KNOWN)


@given(st.binary(max_size=40))
def test_token_is_what_the_grammar_says(text: bytes) -> None:
    assert token(text) == bool(re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", text))


@given(st.binary(max_size=70))
def test_field_value_holds_no_control_byte(text: bytes) -> None:
    assert field_value(text) == bool(re.fullmatch(rb"[\t\x20-\x7e\x80-\xff]*", text))
