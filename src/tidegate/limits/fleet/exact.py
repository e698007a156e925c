"""Limits of which the store is asked for each request: all of a step as one, and all are charged or none is.

What the store grants of a rate or quota lies in cells that are one request's alone, where it finds them when it looks
again; what it does not use, because it has left or another limit refuses after all, lapses and goes back as other
credits do.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tidegate.errors import GatewayError
from tidegate.limits.fleet.loans import PermitQuestion
from tidegate.limits.fleet.scripts import take_all
from tidegate.redis.errors import ReplyError

if TYPE_CHECKING:
    from tidegate.limits.fleet.lender import Lender
    from tidegate.limits.fleet.permits import PermitLender
    from tidegate.redis.client import Client

__all__ = ["PermitTicket", "Ticket", "Verdict", "ask_for_all"]


class Ticket(NamedTuple):
    """What one limit is asked for one request: so much of ``key``, into the cells of ``lease``."""

    lender: "Lender"
    which: int
    lease: int
    fleet: int
    key: str
    cost: int


class PermitTicket(NamedTuple):
    """What a limit of concurrency is asked for one request and those that wait with it."""

    lender: "PermitLender"
    fingerprint: int
    key: str
    question: PermitQuestion


class Verdict(NamedTuple):
    """What the store says: ``refused`` is the number of the limit that has not so much, -1 for none.

    ``told_ms``: after which time it would; ``parts``: of each quota, which window and how many ms it lasts still; of
    each limit of concurrency, permits lent and to how many nodes.
    """

    refused: int
    told_ms: int
    parts: tuple[tuple[int, int], ...]


async def ask_for_all(client: "Client", tickets: "Sequence[Ticket | PermitTicket]", now_ms: int) -> Verdict | None:
    """Takes what all tickets want, or nothing; None: the store is away.

    Args:
        client: Of a lane, with the time that an answer is waited for.
        tickets: Of limits that have one store, and in a cluster keys of one slot.
        now_ms: CLOCK_MONOTONIC in milliseconds.
    """
    words = [
        word
        for one in tickets
        for word in (one.lender.words(one) if isinstance(one, PermitTicket) else one.lender.words(one, now_ms))
    ]
    try:
        refused, told_ms, *parts = map(int, await take_all.run(client, [one.key for one in tickets], words))
    except (GatewayError, ReplyError):
        return None
    return Verdict(refused, told_ms, tuple(zip(parts[::2], parts[1::2], strict=True)))
