"""SipHash-2-4 against its published vectors, and what fingerprints promise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.memory.fingerprints import Fingerprints, siphash_2_4

KEY = bytes(range(16))
SECRET = bytes(32)

# Of the reference implementation (vectors.h): the input is 0, 1, 2, … of as many bytes; 15 is the paper's appendix A.
PUBLISHED = {
    0: "310e0edd47db6f72",
    1: "fd67dc93c539f874",
    2: "5a4fa9d909806c0d",
    3: "2d7efbd796666785",
    4: "b7877127e09427cf",
    5: "8da699cd64557618",
    6: "cee3fe586e46c9cb",
    7: "37d1018bf50002ab",
    8: "6224939a79f5f593",
    15: "e545be4961ca29a1",
    63: "724506eb4c328a95",
}


@pytest.mark.parametrize("size", PUBLISHED)
def test_published_vectors_come_out(size):
    assert siphash_2_4(KEY, bytes(range(size))).to_bytes(8, "little").hex() == PUBLISHED[size]


def plain_siphash(key: bytes, content: bytes) -> int:
    """The same written down from the paper, with Python's integers."""
    mask = 2**64 - 1

    def rotated(x, bits):
        return (x << bits | x >> 64 - bits) & mask

    def rounds(n):
        nonlocal a, b, c, d
        for _ in range(n):
            a, c = (a + b) & mask, (c + d) & mask
            b, d = rotated(b, 13) ^ a, rotated(d, 16) ^ c
            a = rotated(a, 32)
            c, a = (c + b) & mask, (a + d) & mask
            b, d = rotated(b, 17) ^ c, rotated(d, 21) ^ a
            c = rotated(c, 32)

    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    a, b, c, d = (
        k ^ int.from_bytes(s, "big")
        for k, s in zip((k0, k1) * 2, (b"somepseu", b"dorandom", b"lygenera", b"tedbytes"), strict=True)
    )
    padded = content + bytes(7 - len(content) % 8) + bytes([len(content) & 255])
    for at in range(0, len(padded), 8):
        block = int.from_bytes(padded[at : at + 8], "little")
        d ^= block
        rounds(2)
        a ^= block
    c ^= 255
    rounds(4)
    return a ^ b ^ c ^ d


@given(st.binary(min_size=16, max_size=16), st.binary(max_size=300))
def test_any_key_and_content_hash_as_in_the_paper(key, content):
    assert siphash_2_4(key, content) == plain_siphash(key, content)


def test_key_of_another_length_is_refused():
    with pytest.raises(ValueError, match="16 bytes, got 15"):
        siphash_2_4(KEY[:15], b"")


def test_limits_and_regions_have_unrelated_fingerprints():
    keys = [b"", b"\0", b"\0\0", b"10.0.0.1", bytes(10_240), bytes(range(256))]
    found = {
        Fingerprints(secret, name).of_key(key)
        for secret in (SECRET, b"x" * 32)
        for name in ("edge", "contract")
        for key in keys
    }
    assert len(found) == 4 * len(keys)
    assert Fingerprints(SECRET, "edge").of_key(b"a") == Fingerprints(SECRET, "edge").of_key(b"a")
