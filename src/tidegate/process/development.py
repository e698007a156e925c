"""Development mode: ``server.development``, or ``tidegate run --dev`` for all that the program starts."""

import os
from typing import TYPE_CHECKING

from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.observe.log_writer import Say

if TYPE_CHECKING:
    from tidegate.observe.blocking_calls import BlockingCalls

__all__ = ["VARIABLE", "Development", "is_on"]

VARIABLE = "TIDEGATE_DEVELOPMENT"
"""Set to 1 by ``--dev``: it outlives what a reload says."""


def is_on(server: Server) -> bool:
    """Whether the gateway is run by who writes its filters."""
    return server.development or os.environ.get(VARIABLE) == "1"


class Development:
    """What a worker does in it. Nothing is loaded for it until a snapshot asks."""

    def __init__(self) -> None:
        self._calls: BlockingCalls | None = None

    def __repr__(self) -> str:
        return f"<Development {self._calls!r}>"

    def follow(self, gateway: Gateway, say: Say) -> None:
        """A snapshot was prepared: calls that block are named from now on, or no longer."""
        on = is_on(gateway.server)
        modules = {name: use.target.partition(":")[0] for name, use in gateway.filters.items()}
        if self._calls is not None:
            self._calls.is_on = on
            self._calls.modules = modules
        elif on:
            from tidegate.observe.blocking_calls import BlockingCalls

            self._calls = BlockingCalls(say, modules)
            self._calls.install()

    def tick(self) -> None:
        """To be called once a second."""
        if self._calls is not None:
            self._calls.tick()
