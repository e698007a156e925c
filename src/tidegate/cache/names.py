"""How keys and tags of a cache are called by those who share it.

Text is its UTF-8: ``"a"`` and ``b"a"`` are one key to everybody but the worker that holds both.
"""

from typing import Final

from tidegate.cache.shelf import Key
from tidegate.memory.fingerprints import Fingerprints
from tidegate.memory.generations import GENERATION_SLOTS

__all__ = ["Names", "unwire", "wire"]

_SECRET: Final = bytes(32)
# Not the region's: other machines use it too. Who finds keys that share a slot has found a way to have a value fetched
# once more.


def wire(name: str | bytes) -> bytes:
    """A key or tag as bytes."""
    return name.encode() if isinstance(name, str) else name


def unwire(name: bytes) -> str | bytes:
    """A key as callers spell it: text, unless it is none."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name


class Names:
    """Those of one cache.

    Args:
        name: Of the cache: what is in it has no slot in common with another, but by accident.
    """

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self._hash = Fingerprints(_SECRET, f"cache {name}")
        self.everything = self._slot(b"*")
        """The slot of all that the cache holds."""
        self.source = self._slot(b"s")
        """Where it stands which source a cache watches; no key's but by accident, which costs a reading."""

    def slot_of_key(self, key: Key) -> int:
        """The slot of a key."""
        return self._slot(b"k" + wire(key))

    def slot_of_tag(self, tag: str) -> int:
        """The slot of a tag."""
        return self._slot(b"t" + wire(tag))

    def slots_of(self, key: Key, tags: tuple[str, ...]) -> tuple[int, ...]:
        """All slots that concern an entry."""
        return (self.everything, self.slot_of_key(key), *map(self.slot_of_tag, tags))

    def flight(self, key: Key) -> bytes:
        """What a fetch of a key is called by all workers of the machine."""
        return b"%b %b" % (self._name, wire(key))

    def _slot(self, content: bytes) -> int:
        return self._hash.of_key(content) % GENERATION_SLOTS
