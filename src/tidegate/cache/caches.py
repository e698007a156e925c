"""The caches of one worker, by their names in the configuration.

They belong to the worker, not to a snapshot: a reload changes the settings of one that is there and leaves what is in
it. Only with another ``codec``, ``prefix`` or source, or with or without ``machine``, it is another one. One that is
gone goes on as it was until the last exchange of a snapshot that has it has ended: it may not have asked yet.
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from tidegate.cache.report import CacheReport
from tidegate.config.cache import Cache as Settings
from tidegate.errors import GatewayError
from tidegate.memory.generations import Generations
from tidegate.memory.meters import Meters
from tidegate.memory.store_report import StoreReport
from tidegate.process import tasks

if TYPE_CHECKING:
    from tidegate.cache.cache import Cache
    from tidegate.cache.fetch import MachineFlights
    from tidegate.cache.machine import MachineTier
    from tidegate.redis.link import Link

__all__ = ["Caches"]

REPORT_S: Final = 1.0


class Caches(Mapping[str, "Cache"]):
    """``caches["prices"]`` is the cache of ``[cache.prices]``; KeyError when no snapshot with exchanges has one.

    Args:
        generations: Where all workers see what is invalidated.
        links: To Redis, by name: the worker's, of the active snapshot.
        flights: Those of the machine.
        say: Where it is said that a tier cannot be had.
        meters: The worker's; what is counted is copied there once a second.
        store_report: The same of what is counted of the machine's tiers.
        seed: For jitter and early refresh: the worker's slot.
    """

    def __init__(
        self,
        generations: Generations,
        links: "Mapping[str, Link]" = MappingProxyType({}),
        flights: "MachineFlights | None" = None,
        *,
        say: Callable[..., None] = print,
        meters: Meters | None = None,
        store_report: StoreReport | None = None,
        seed: int = 0,
    ) -> None:
        self._generations = generations
        self._links = links
        self._flights = flights
        self._say = say
        self._seed = seed
        self._meters = meters
        self._store_report = store_report
        self._reports: dict[str, CacheReport] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._caches: dict[str, Cache] = {}
        self._machines: dict[str, MachineTier] = {}
        self._closing: dict[str, asyncio.Task[None]] = {}  # machine tiers of caches that are gone

    def __getitem__(self, name: str) -> "Cache":
        return self._caches[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._caches)

    def __len__(self) -> int:
        return len(self._caches)

    async def prepare(self, settings: Mapping[str, Settings], origin: str) -> None:
        """Opens what the caches of another snapshot need and is not open yet; one that cannot be had is said.

        Args:
            settings: Of that snapshot.
            origin: What tells this gateway apart from others, such as the file of its configuration.
        """
        for name, one in settings.items():
            if one.machine is None or name in self._machines:
                continue
            if (closing := self._closing.get(name)) is not None:
                await asyncio.shield(closing)  # a process may have a store open once
            from tidegate.cache.machine import MachineTier, directory_for

            try:
                # Off the loop: it makes files, and may wait for another process that does.
                opening = partial(MachineTier.open, directory_for(origin) / name, one.machine, self._say)
                self._machines[name] = await asyncio.get_running_loop().run_in_executor(None, opening)
            except GatewayError as error:
                self._say(
                    "cache_without_machine", f"cache {name} goes on without the machine's tier: {error}", cache=name
                )

    def configure(self, settings: Mapping[str, Settings], kept: Collection[str] = ()) -> None:
        """Goes on with the caches of another snapshot; its links have been configured before.

        Args:
            settings: Of that snapshot.
            kept: Names that exchanges of older snapshots may still ask for; they go on with the settings they have.
        """
        old = {name: cache.settings for name, cache in self._caches.items() if name in kept}
        settings = {**old, **settings}
        for name in [name for name, cache in self._caches.items() if not _is_same(cache, settings.get(name))]:
            self.report()
            self._caches.pop(name).retire()
            self._reports.pop(name, None)
        for name in [name for name in self._machines if name not in settings or settings[name].machine is None]:
            closing = tasks.start(self._machines.pop(name).closed(), f"close the store of cache {name}")
            self._closing[name] = closing
            closing.add_done_callback(lambda _, name=name: self._closing.pop(name, None))  # type: ignore[misc]
        for name, one in settings.items():
            if name in self._caches:
                self._caches[name].configure(one, self._link_of(one))
            else:
                self._make(name, one)
        if self._caches and self._timer is None and self._meters is not None:
            self._report_again()

    def report(self) -> None:
        """Copies what was counted since the last time to shared memory."""
        if self._meters is None:
            return
        for name, cache in self._caches.items():
            if name not in self._reports:
                self._reports[name] = CacheReport(name, self._meters)
            self._reports[name].publish(cache.statistics())
        if self._machines and self._store_report is not None:
            seen = [machine.store_statistics() for machine in self._machines.values()]
            total = type(seen[0])(*(sum(counts) for counts in zip(*seen, strict=True)))
            self._store_report.publish(total, time.monotonic_ns())

    def close(self) -> None:
        """Ends all of them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.report()
        for cache in self._caches.values():
            cache.close()
        self._caches.clear()
        for machine in self._machines.values():
            machine.close()
        self._machines.clear()

    def _report_again(self) -> None:
        for cache in self._caches.values():
            cache.touch_machine()
        self.report()
        self._timer = asyncio.get_running_loop().call_later(REPORT_S, self._report_again)

    def _make(self, name: str, settings: Settings) -> None:
        from tidegate.cache.cache import Cache  # loaded only by workers that have one

        self._caches[name] = Cache(
            name,
            settings,
            self._generations,
            link=self._link_of(settings),
            flights=self._flights,
            machine=self._machines.get(name),
            chance=random.Random(f"{self._seed} {name}"),
            say=self._say,
        )

    def _link_of(self, settings: Settings) -> "Link | None":
        return None if settings.redis is None else self._links[settings.redis]

    def __repr__(self) -> str:
        return f"<Caches {list(self._caches.values())}>"


def _is_same(cache: "Cache", settings: Settings | None) -> bool:
    return settings is not None and _identity(settings) == _identity(cache.settings)


def _identity(settings: Settings) -> tuple[object, ...]:
    source = settings.watch, settings.watch_file
    return settings.codec, settings.prefix, *source, settings.machine is not None
