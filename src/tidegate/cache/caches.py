"""The caches of one worker, by their names in the configuration.

They belong to the worker, not to a snapshot: a reload changes the settings of one that is there and leaves what is in
it. Only with another ``codec`` or ``prefix`` it is another one.
"""

import random
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from tidegate.config.cache import Cache as Settings
from tidegate.memory.generations import Generations

if TYPE_CHECKING:
    from tidegate.cache.cache import Cache
    from tidegate.cache.fetch import MachineFlights
    from tidegate.redis.link import Link

__all__ = ["Caches"]


class Caches(Mapping[str, "Cache"]):
    """``caches["prices"]`` is the cache of ``[cache.prices]``; KeyError when the active snapshot has none.

    Args:
        generations: Where all workers see what is invalidated.
        links: To Redis, by name: the worker's, of the active snapshot.
        machine: Who fetches a key for all workers.
        seed: For jitter and early refresh: the worker's slot.
    """

    def __init__(
        self,
        generations: Generations,
        links: "Mapping[str, Link]" = MappingProxyType({}),
        machine: "MachineFlights | None" = None,
        seed: int = 0,
    ) -> None:
        self._generations = generations
        self._links = links
        self._machine = machine
        self._seed = seed
        self._caches: dict[str, Cache] = {}

    def __getitem__(self, name: str) -> "Cache":
        return self._caches[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._caches)

    def __len__(self) -> int:
        return len(self._caches)

    def configure(self, settings: Mapping[str, Settings]) -> None:
        """Goes on with the caches of another snapshot; its links have been configured before."""
        for name in [name for name, cache in self._caches.items() if not _is_same(cache, settings.get(name))]:
            self._caches.pop(name).close()
        for name, one in settings.items():
            if name in self._caches:
                self._caches[name].configure(one, self._link_of(one))
            else:
                self._make(name, one)

    def close(self) -> None:
        """Ends all of them."""
        for cache in self._caches.values():
            cache.close()
        self._caches.clear()

    def _make(self, name: str, settings: Settings) -> None:
        from tidegate.cache.cache import Cache  # loaded only by workers that have one

        chance = random.Random(f"{self._seed} {name}")
        self._caches[name] = Cache(
            name, settings, self._generations, link=self._link_of(settings), machine=self._machine, chance=chance
        )

    def _link_of(self, settings: Settings) -> "Link | None":
        return None if settings.redis is None else self._links[settings.redis]

    def __repr__(self) -> str:
        return f"<Caches {list(self._caches.values())}>"


def _is_same(cache: "Cache", settings: Settings | None) -> bool:
    there = cache.settings
    return settings is not None and (settings.codec, settings.prefix) == (there.codec, there.prefix)
