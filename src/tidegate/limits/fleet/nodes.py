"""How many gateways share a store: each says every second that it is there, and hears how many are.

What a node is known by is made of its shared memory's secret and of the machine's boot, so that all workers of a
gateway are one node, and gateways that were cloned with their state are not.
"""

import asyncio
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tidegate.errors import GatewayError
from tidegate.limits.fleet.scripts import count_nodes
from tidegate.process import tasks
from tidegate.redis.errors import ReplyError

if TYPE_CHECKING:
    from tidegate.redis.link import Link

__all__ = ["GONE_S", "KEY", "PERIOD_S", "Nodes", "node_name"]

PERIOD_S: Final = 1.0
"""How often a node is heard, in seconds."""

GONE_S: Final = 5.0
"""A node that was not heard for so long is not counted any more, in seconds."""

KEY: Final = "tidegate:nodes"
"""Where they are in the store."""


def node_name(secret: bytes, boot: bytes) -> str:
    """What the store knows a gateway by.

    Args:
        secret: Of its shared memory.
        boot: Of the machine since it was started, such as ``/proc/sys/kernel/random/boot_id``.
    """
    return hashlib.blake2b(boot, key=secret[:32], digest_size=8, person=b"tidegate-node").hexdigest()


class Nodes:
    """Those that share the store of one link.

    Args:
        link: Gives the link, None while there is none.
        name: `node_name` of this one.
    """

    def __init__(self, link: "Callable[[], Link | None]", name: str) -> None:
        self._link = link
        self.name = name
        self.count = 1
        """The last known number of nodes, this one included."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_heard(self) -> bool:
        """Whether it says that it is there."""
        return self._timer is not None

    def begin(self) -> None:
        """Says that this node is there, now and every second."""
        if self._timer is None:
            self._beat()

    def close(self) -> None:
        """Says nothing any more; others count it for `GONE_S` still."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PERIOD_S, self._beat)
        tasks.start(self._say(), "count the nodes of a fleet")

    async def _say(self) -> None:
        link = self._link()
        if link is None:
            return
        try:
            found = await count_nodes.run(link.control.within(PERIOD_S), [KEY], [self.name, round(GONE_S * 1000)])
        except (GatewayError, ReplyError):
            return  # the last known number stands
        self.count = max(1, int(found))

    def __repr__(self) -> str:
        return f"<Nodes {self.count}, this one is {self.name}>"
