"""Limits of which the store is asked for each request: all of a step as one, and all are charged or none is.

What the store grants lies in cells that are one request's alone, where it finds them when it looks again; what it does
not use, because it has left or another limit refuses after all, lapses and goes back as other credits do.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from tidegate.errors import GatewayError
from tidegate.limits.fleet.allowance import RateAllowance
from tidegate.limits.fleet.scripts import take_all
from tidegate.redis.errors import ReplyError

if TYPE_CHECKING:
    from tidegate.limits.fleet.lender import Lender
    from tidegate.redis.client import Client

__all__ = ["Ticket", "Verdict", "ask_for_all"]

_WORDS: Final = 8  # of each key, in the script


class Ticket(NamedTuple):
    """What one limit is asked for one request: so much of ``key``, into the cells of ``lease``."""

    lender: "Lender"
    which: int
    lease: int
    fleet: int
    key: str
    cost: int


class Verdict(NamedTuple):
    """What the store says: ``refused`` is the number of the limit that has not so much, -1 for none.

    ``told_ms``: after which time it would; ``windows``: of each quota, which one and how many ms it lasts still.
    """

    refused: int
    told_ms: int
    windows: tuple[tuple[int, int], ...]


async def ask_for_all(client: "Client", tickets: Sequence[Ticket], held: Sequence[tuple[int, int]]) -> Verdict | None:
    """Takes what all tickets want, or nothing; None: the store is away.

    Args:
        client: Of a lane, with the time that an answer is waited for.
        tickets: Of limits that have one store, and in a cluster keys of one slot.
        held: What the machine has of each quota's window, and in how many ms that ends.
    """
    words: list[str | int] = []
    for ticket, (has, left_ms) in zip(tickets, held, strict=True):
        allowance = ticket.lender.allowance(ticket.which)
        if isinstance(allowance, RateAllowance):
            words += ["rate", ticket.cost, repr(allowance.interval_us), allowance.burst_and_one, 0, 0, 0, 0]
        else:
            quota = (allowance.maximum, allowance.period_ms, allowance.window, ticket.lender.nodes.name, has, left_ms)
            words += ["quota", ticket.cost, *quota]
    try:
        refused, told_ms, *windows = map(int, await take_all.run(client, [one.key for one in tickets], words))
    except (GatewayError, ReplyError):
        return None
    return Verdict(refused, told_ms, tuple(zip(windows[::2], windows[1::2], strict=True)))
