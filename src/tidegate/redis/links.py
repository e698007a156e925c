"""The links of one worker, by their names in the configuration.

They belong to the worker, not to a snapshot: one whose settings a reload leaves as they are keeps its connections. One
that is gone answers by its name until the last exchange of a snapshot that has it has ended: it may not have asked yet.
After that, and when it is changed, it lives on for a while, for those who are in the middle of something.

What links count is copied to the worker's meters in shared memory once a second.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from tidegate.config.redis import Redis
from tidegate.memory.meters import Meters
from tidegate.memory.single_flight import SingleFlight

if TYPE_CHECKING:
    from tidegate.redis.link import Link
    from tidegate.redis.load import LoadWatch
    from tidegate.redis.report import Report

__all__ = ["Links"]

REPORT_S: Final = 1.0
GRACE_S: Final = 30.0


class Links(Mapping[str, "Link"]):
    """``links["main"]`` is the link of ``[redis.main]``; KeyError when no snapshot with exchanges has one.

    Args:
        meters: The worker's.
        say: Where changes of state are said.
        seed: For the jitter of pauses: the worker's slot.
        flights: Of the machine: of its workers one looks at how busy the servers are. Without them none does.
    """

    def __init__(
        self, meters: Meters, say: Callable[..., None], seed: int = 0, flights: SingleFlight | None = None
    ) -> None:
        self._meters = meters
        self._say = say
        self._seed = seed
        self._flights = flights
        self._load_watch: LoadWatch | None = None
        self._links: dict[str, Link] = {}
        self._settings: dict[str, Redis] = {}
        self._reports: dict[str, Report] = {}
        self._retired: set[Link] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __getitem__(self, name: str) -> "Link":
        return self._links[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._links)

    def __len__(self) -> int:
        return len(self._links)

    def configure(self, settings: Mapping[str, Redis], kept: Collection[str] = ()) -> None:
        """Goes on with the links of another snapshot. Nothing is connected before it is used.

        Args:
            settings: Of that snapshot.
            kept: Names that exchanges of older snapshots may still ask for; they stay as they are.
        """
        gone = [name for name in self._settings if name not in settings and name not in kept]
        changed = [name for name, one in settings.items() if self._settings.get(name, one) != one]
        for name in (*gone, *changed):
            self._retire(name)
        for name, one in settings.items():
            if name not in self._links:
                self._make(name, one)
        if self._links and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(REPORT_S, self._report_again)
            self._watch()

    def report(self) -> None:
        """Copies what was counted since the last time to shared memory."""
        for name, report in self._reports.items():
            report.publish(self._links[name].statistics(), self._links[name].meters)

    def close(self) -> None:
        """Ends all of them at once."""
        if self._timer is not None:
            self._timer.cancel()
        if self._load_watch is not None:
            self._load_watch.close()
        self.report()
        for link in (*self._links.values(), *self._retired):
            link.close()
        self._links.clear()
        self._settings.clear()
        self._reports.clear()
        self._retired.clear()

    def _watch(self) -> None:
        if self._flights is not None:
            from tidegate.redis.load import LoadWatch

            self._load_watch = LoadWatch(self, self._flights, self._meters, self._say)
            self._load_watch.start()

    def _make(self, name: str, settings: Redis) -> None:
        # Loaded only by workers that have a link: hiredis and what stands on it are a megabyte.
        from tidegate.redis.link import make_link
        from tidegate.redis.report import Report

        self._links[name] = make_link(name, settings, self._say, seed=self._seed)
        self._settings[name] = settings
        self._reports[name] = Report(name, self._meters)

    def _retire(self, name: str) -> None:
        self.report()
        link = self._links.pop(name)
        del self._settings[name], self._reports[name]
        self._retired.add(link)
        asyncio.get_running_loop().call_later(GRACE_S, self._end, link)

    def _end(self, link: "Link") -> None:
        link.close()
        self._retired.discard(link)

    def _report_again(self) -> None:
        self.report()
        self._timer = asyncio.get_running_loop().call_later(REPORT_S, self._report_again)

    def __repr__(self) -> str:
        return f"<Links {list(self._links.values())}>"
