"""Caches without a gateway, for filters that ask them."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tidegate.cache.cache import Cache
from tidegate.config.cache import Cache as Settings
from tidegate.config.structure import adapter
from tidegate.memory.generations import GENERATIONS_SIZE, Generations

__all__ = ["TestedCaches", "caches"]

_ELSEWHERE = ("machine", "redis", "watch", "preload", "preload_tags")


class TestedCaches(Mapping[str, Cache]):
    """Real caches of one worker, by name, whose time stands still until it is told to go on.

    ``repr`` of one says what it has done, ``cache.statistics()`` counts it.
    """

    __test__ = False  # nothing that pytest should run

    def __init__(self, settings: Mapping[str, Settings]) -> None:
        self._now_s = 1000.0
        generations = Generations(bytearray(GENERATIONS_SIZE))
        self._caches = {
            name: Cache(name, one, generations, chance=random.Random(name), clock=lambda: self._now_s)
            for name, one in settings.items()
        }

    def pass_time(self, seconds: float) -> None:
        """It is so much later: what was fresh for less has ended."""
        self._now_s += seconds

    def __getitem__(self, name: str) -> Cache:
        return self._caches[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._caches)

    def __len__(self) -> int:
        return len(self._caches)

    def __repr__(self) -> str:
        return f"<TestedCaches {list(self._caches.values())}>"


def caches(**sections: Mapping[str, Any]) -> TestedCaches:
    """Caches as ``[cache.NAME]`` of a configuration would make them, that remember nothing yet.

    Nothing in them is left to chance: without ``jitter`` and ``early_refresh``, unless these are given. Raises
    ``ValueError`` for what is no cache, and for one that is shared with others, which takes a gateway
    (``testing.gateway``).
    """
    made = {}
    for name, section in sections.items():
        if shared := [option for option in _ELSEWHERE if option in section]:
            raise ValueError(f"{name}: {shared[0]} takes a gateway to be tried: testing.gateway(…, config=…)")
        certain = {"jitter": 0.0, "early_refresh": 0.0, **section}
        made[name] = adapter(Settings).validate_json(msgspec.json.encode(certain))
    return TestedCaches(made)
