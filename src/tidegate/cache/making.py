"""How entries come to be: under marks that were taken before their fetch began, with the life that the settings say."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from tidegate.cache.envelope import Found
from tidegate.cache.freshness import Lifetimes, Times
from tidegate.cache.loaded import Loaded
from tidegate.cache.names import Names
from tidegate.cache.shelf import Entry, Key
from tidegate.cache.sizes import ENTRY_BYTES, size_of
from tidegate.memory.generations import Generations

__all__ = ["Maker", "Mark"]


class Mark(NamedTuple):
    """When a fetch began, and what was invalidated until then."""

    at: float
    tags: tuple[str, ...]
    epoch: int
    slots: tuple[int, ...]
    marks: tuple[int, ...]


class Maker:
    """Makes the entries of one cache.

    Args:
        names: Its slots.
        generations: Where invalidations are seen.
        now: Its clock.
        chance: For jitter.
    """

    def __init__(self, names: Names, generations: Generations, now: Callable[[], float], chance: random.Random) -> None:
        self.lifetimes = Lifetimes(0.0)
        self._names = names
        self._generations = generations
        self.now = now
        self._chance = chance

    def mark(self, key: Key, tags: tuple[str, ...]) -> Mark:
        """To be taken before a fetch begins."""
        epoch = self._generations.current_epoch()  # first: what changes after it is seen to have changed
        slots = self._names.slots_of(key, tags)
        return Mark(self.now(), tags, epoch, slots, self._generations.read(slots))

    def flight_name(self, key: Key) -> bytes:
        """What a fetch of ``key`` is called by all workers of the machine."""
        return self._names.flight(key)

    def of_loaded(self, key: Key, loaded: Loaded, mark: Mark) -> tuple[Entry, bool]:
        """The entry of a value from the origin, and whether it may be given to others than who waits for it."""
        now, is_negative = self.now(), loaded.value is None
        times = self.lifetimes.times(mark.at, now, self._chance.random(), ttl_s=loaded.ttl, is_negative=is_negative)
        return self._entry(key, loaded.value, loaded.tags, mark, times=times, now=now, load_s=now - mark.at)

    def of_found(self, key: Key, value: Any, found: Found, mark: Mark) -> tuple[Entry, bool]:
        """The same of a value that another machine has stored: it ends when it does there."""
        now = self.now()
        times = self.lifetimes.rest(mark.at, now, found.left_s, found.load_s, is_negative=found.is_negative)
        return self._entry(key, value, found.tags, mark, times=times, now=now, load_s=found.load_s)

    def _entry(
        self, key: Key, value: Any, tags: tuple[str, ...], mark: Mark, *, times: Times, now: float, load_s: float
    ) -> tuple[Entry, bool]:
        slots, marks, is_late = mark.slots, mark.marks, False
        if late := [tag for tag in tags if tag not in mark.tags]:
            # Under tags that are known only now: whether one of them was invalidated meanwhile the epoch alone says.
            slots = (*slots, *map(self._names.slot_of_tag, late))
            marks = self._generations.read(slots)
            is_late = self._generations.current_epoch() != mark.epoch
        size = ENTRY_BYTES + size_of(value)
        entry = Entry(key, value, size, times, now, tags, slots, marks, load_s)
        is_good = times.error_until > now and not is_late and self._generations.hold(slots, marks)
        return entry, is_good
