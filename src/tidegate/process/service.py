"""What a worker's body looks like from the worker: the data plane, or an echo in the tests."""

import asyncio
import importlib
from collections.abc import Sequence
from typing import Any, Protocol

from tidegate.config.listeners import Listener
from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region

__all__ = ["Service", "load_service"]


class Service(Protocol):
    """Made with ``(loop, snapshot, slot, region, error_log, listeners=[(settings, fd), …])``.

    ``slot`` is the index; the descriptors are listening, non-blocking, and the service's own from then on.
    """

    async def prepare(self, snapshot: Snapshot) -> None:
        """Builds all that serving with ``snapshot`` needs. Raises whatever makes that impossible.

        The first one is what it begins with. A later one is built beside it in slices, while the service serves, and
        is served with from when the shared word names it.
        """

    def forget(self, number: int) -> None:
        """Drops what was prepared for a snapshot that will not become active; nothing if there is no such one."""

    def start(self) -> None:
        """Begins to accept."""

    def drain(self, deadline: float) -> None:
        """Accepts what waits in the sockets, then closes them; next answers say ``Connection: close``.

        ``deadline`` is on the loop's clock: what is left then is closed.
        """

    async def drained(self) -> None:
        """Returns when the last connection has ended."""

    def close(self) -> None:
        """Ends everything at once."""

    def statistics(self) -> Any:
        """A frozen view of what it is doing."""


class ServiceFactory(Protocol):
    """The class named in a worker's order."""

    def __call__(
        self,
        loop: asyncio.AbstractEventLoop,
        snapshot: Snapshot,
        slot: int,
        region: Region,
        error_log: Any,
        *,
        listeners: Sequence[tuple[Listener, int]],
    ) -> Service: ...


def load_service(name: str) -> ServiceFactory:
    """The class written ``package.module:Class``."""
    module, _, attribute = name.partition(":")
    factory: ServiceFactory = getattr(importlib.import_module(module), attribute)
    return factory
