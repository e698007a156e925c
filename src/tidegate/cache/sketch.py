"""How often keys have been asked for of late, of any number of keys in a few bytes.

A count-min sketch of small counters that are all halved after so many events, which is how TinyLFU forgets (Einziger,
Friedman, Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM ToS 2017). It never counts too little; too
much only when keys share all four of their counters with others.
"""

from typing import Final

__all__ = ["Sketch"]

_MOST: Final = 15
_SEEDS: Final = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)
_MASK: Final = (1 << 64) - 1
_HALVES: Final = bytes(count >> 1 for count in range(256))


class Sketch:
    """Counts up to fifteen for each key.

    Args:
        bits: Two to that many counters in each of four rows. All are halved after a fourth as many events, so that
            most counters are 0 and two keys seldom look like one.
    """

    __slots__ = ("_events", "_rows", "_shift", "period")

    def __init__(self, bits: int = 15) -> None:
        self._rows = [bytearray(1 << bits) for _ in _SEEDS]
        self._shift = 64 - bits
        self._events = 0
        self.period = 1 << (bits - 2)

    def count(self, key: object) -> None:
        """One more event of ``key``."""
        mixed = hash(key)
        for row, seed in zip(self._rows, _SEEDS, strict=True):
            at = (mixed * seed & _MASK) >> self._shift
            if row[at] < _MOST:
                row[at] += 1
        self._events += 1
        if self._events >= self.period:
            self._events >>= 1
            self._rows = [row.translate(_HALVES) for row in self._rows]

    def estimate(self, key: object) -> int:
        """How many events of ``key`` there were of late, at least."""
        mixed = hash(key)
        return min(row[(mixed * seed & _MASK) >> self._shift] for row, seed in zip(self._rows, _SEEDS, strict=True))

    def __repr__(self) -> str:
        return f"<Sketch of {len(self._rows[0])} counters, {self._events} of {self.period} events>"
