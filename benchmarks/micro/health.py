"""Nanoseconds to read what is known of an endpoint, as each pick does, to publish it, and to take over."""

from tidegate.memory.health import HealthReader, HealthWriter
from tidegate.memory.region import Region

_REGION = Region.create(1, 1, 1)
_READER = HealthReader(_REGION.mapping)
_WRITER = HealthWriter(_REGION.mapping)


def read(n: int) -> None:
    _READER.read(17, n)


def publish(n: int) -> None:
    for i in range(n):
        _WRITER.publish(17, i & 1)


def take_over(n: int) -> None:
    global _WRITER  # noqa: PLW0603 - the one before writes no more
    for _ in range(n):
        _WRITER = HealthWriter(_REGION.mapping)


CASES = {"read": read, "publish, from Python": publish, "take over all words": take_over}
