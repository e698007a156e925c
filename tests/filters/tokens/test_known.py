"""Tokens that were found out already."""

from tidegate import Identity
from tidegate.filters.tokens.known import Known
from tidegate.filters.tokens.principal import Principal


def principal(name: str, until_s: float = 100.0, room: int = 0) -> Principal:
    return Principal(Identity(name), (("X-Room", "x" * room),), until_s)


def test_token_is_known_until_it_ends() -> None:
    known = Known()
    ann = principal("ann")
    known.put(b"a", ann)
    assert known.get(b"a", 99.9) is ann
    assert known.get(b"b", 99.9) is None
    assert known.get(b"a", 100.0) is None
    assert len(known) == 0
    assert known.statistics() == (0, 0, 1, 2, 0)


def test_who_came_longest_ago_goes_first() -> None:
    known = Known(most=3)
    for name in ("a", "b", "c"):
        known.put(name.encode(), principal(name))
    assert known.get(b"a", 0.0) is not None
    known.put(b"d", principal("d"))
    assert [known.get(name, 0.0) is not None for name in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    assert known.statistics().evictions == 1


def test_bytes_are_bounded() -> None:
    known = Known(most_bytes=100_000)
    for number in range(50):
        known.put(b"%d" % number, principal("ann", room=5_000))
        assert known.statistics().bytes <= 100_000
    assert 10 < len(known) < 20
    known.put(b"0", principal("ann", room=200_000))
    assert known.get(b"0", 0.0) is None
    known.clear()
    assert known.statistics()[:2] == (0, 0)


def test_bytes_do_not_drift() -> None:
    known = Known()
    known.put(b"a", principal("ann"))
    once = known.statistics().bytes
    for _ in range(10):
        known.put(b"a", principal("ann"))
    assert known.statistics().bytes == once
    known.get(b"a", 200.0)
    assert known.statistics().bytes == 0
    assert repr(known) == "<Known 0 of 10000 tokens, 0 bytes, 0 hits>"
