"""Nanoseconds to free something nobody waits for, and to wake one who does: the mark, the ring and its system call."""

from tidegate.memory.region import Region

_REGION = Region.create(16, 1, 1)
_BELLS = _REGION.bells()


def nobody_waits(n: int) -> None:
    _BELLS.ring_next(0, n)


def one_waits(n: int) -> None:
    for _ in range(n):
        _BELLS.begin_waiting(1, 2, 9)
        _BELLS.ring_next(1)


def marked_and_not_rung(n: int) -> None:
    for _ in range(n):
        _BELLS.begin_waiting(2, 2, 9)
        _BELLS.end_waiting(2, 2, 9)


CASES = {
    "nobody waits": nobody_waits,
    "one waits and is rung, from Python": one_waits,
    "one waits and is not rung, from Python": marked_and_not_rung,
}
