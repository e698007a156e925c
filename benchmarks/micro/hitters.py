"""Nanoseconds to count one exchange for who asks most: for a known key, and for one that is new."""

from tidegate.memory.region import Region

_HITTERS = Region.create(1, series=64).slot(0).take_hitters()
_NOW_NS = 10**15
_KEYS = [(number * 0x9E3779B97F4A7C15) % 2**64 for number in range(1, 17)]


def one_key(n: int) -> None:
    _HITTERS.record(3, _KEYS[0], b"192.0.2.1", _NOW_NS, upstream_ns=412_345, size=512, times=n)


def many_keys(n: int) -> int:
    each = n // 16 + 1
    for key in _KEYS:
        _HITTERS.record(4, key, b"192.0.2.1", _NOW_NS, upstream_ns=412_345, size=512, times=each)
    return each * 16


def spray(n: int) -> None:
    _HITTERS.spray(5, _NOW_NS, n)


CASES = {"known key": one_key, "sixteen known keys in turn": many_keys, "a spray of new keys": spray}
