import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.routing.table import Table

pytestmark = pytest.mark.sanitize

SEED = bytes(range(16))


@given(st.binary(min_size=16, max_size=16), st.binary(max_size=40))
def test_hash_agrees_with_a_reference(seed: bytes, text: bytes) -> None:
    assert Table({}, seed).hash(text) == reference_siphash_1_3(seed, text)


@given(st.dictionaries(st.tuples(st.integers(0, 3), st.binary(max_size=12)), st.integers(1, 2**32 - 1), max_size=60))
def test_finds_what_is_in_it_and_nothing_else(items: dict[tuple[int, bytes], int]) -> None:
    table = Table(items)
    assert {key: table.get(*key) for key in items} == items
    for scope, key in items:
        for other in ((scope + 1, key), (scope, key + b"x"), (scope, key[:-1])):
            assert table.get(*other) == items.get(other, 0)


def test_empty_table_finds_nothing() -> None:
    table = Table({})
    assert table.get(0, b"") == 0 and table.longest_run == 0


def test_no_look_up_is_longer_than_the_longest_run_of_slots() -> None:
    table = Table({(i % 7, b"key%d" % i): i + 1 for i in range(10_000)}, SEED)
    assert table.longest_run < 40  # at most half full; the expected longest is about log2 of the entries
    assert table.longest_key == 7 and table.entries == 10_000


@pytest.mark.parametrize(("items", "seed"), [({(0, b"a"): 0}, SEED), ({}, b"short")])
def test_what_cannot_be_stored_is_refused(items: dict[tuple[int, bytes], int], seed: bytes) -> None:
    with pytest.raises(ValueError, match="got"):
        Table(items, seed)


def test_table_is_built_once() -> None:
    table = Table({(0, b"a"): 1})
    with pytest.raises(RuntimeError):
        table.__init__({})
    assert table.get(0, b"a") == 1


def reference_siphash_1_3(seed: bytes, text: bytes) -> int:
    """From the paper (Aumasson & Bernstein, "SipHash: a fast short-input PRF"), with one and three rounds."""
    mask = 2**64 - 1
    k0, k1 = (int.from_bytes(seed[i : i + 8], "little") for i in (0, 8))
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rotate(x: int, by: int) -> int:
        return (x << by | x >> 64 - by) & mask

    def sip_round() -> None:
        v[0] = (v[0] + v[1]) & mask
        v[2] = (v[2] + v[3]) & mask
        v[1] = rotate(v[1], 13) ^ v[0]
        v[3] = rotate(v[3], 16) ^ v[2]
        v[0] = rotate(v[0], 32)
        v[2] = (v[2] + v[1]) & mask
        v[0] = (v[0] + v[3]) & mask
        v[1] = rotate(v[1], 17) ^ v[2]
        v[3] = rotate(v[3], 21) ^ v[0]
        v[2] = rotate(v[2], 32)

    padded = text + bytes(7 - len(text) % 8) + bytes([len(text) % 256])
    for i in range(0, len(padded), 8):
        word = int.from_bytes(padded[i : i + 8], "little")
        v[3] ^= word
        sip_round()
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(3):
        sip_round()
    return v[0] ^ v[1] ^ v[2] ^ v[3]
