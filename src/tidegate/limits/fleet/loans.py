"""One question to the store about one key: what it is told, what is wanted, and what it lends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tidegate.limits.fleet.allowance import PermitAllowance, QuotaAllowance, RateAllowance
from tidegate.limits.fleet.scripts import borrow_quota, borrow_rate, hold_permits
from tidegate.memory.grants import FORGOTTEN_MS

if TYPE_CHECKING:
    from tidegate.redis.client import Client

__all__ = ["Loan", "PermitLoan", "PermitQuestion", "Question", "ask", "ask_for_permits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a node says of a key.

    ``returned``: credits that it gives back, of ``window`` where it is a quota. ``used``: what it has let in by itself,
    the first of it ``since_ms`` ago. ``held``: what it knows to have of a quota's window that ends in ``held_left_ms``.
    """

    least: int
    wanted: int
    node: str
    nodes: int
    returned: int = 0
    used: int = 0
    since_ms: int = 0
    window: int = 0
    held: int = 0
    held_left_ms: int = 0


class Loan(NamedTuple):
    """What the store lends: ``credits``, and after how many ms there would be as many as were wanted.

    Of a quota: what the store calls the window that they are of, and in how many ms it ends.
    """

    credits: int
    told_ms: int
    window: int = 0
    ends_ms: int = 0


async def ask(client: "Client", key: str, allowance: RateAllowance | QuotaAllowance, question: Question) -> Loan:
    """Asks; raises GatewayError or ReplyError when there is no answer."""
    one = question
    if isinstance(allowance, RateAllowance):
        bucket = (repr(allowance.interval_us), allowance.holds)
        answer = await borrow_rate.run(
            client, [key], [*bucket, one.least, one.wanted, one.returned, one.used, one.since_ms, allowance.owed]
        )
    else:
        quota = (allowance.maximum, allowance.period_ms, allowance.window, one.node, one.nodes)
        told = (one.returned, one.window, one.used, one.held, one.held_left_ms)
        answer = await borrow_quota.run(client, [key], [*quota, one.least, one.wanted, *told])
    return Loan(*map(int, answer))


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitQuestion:
    """What a node says of a key's permits: all that is under way there, and what it needs and wants in all.

    ``began_ms``: when it was asked, by the node's clock; ``turn``: of the question (``memory.grants``); ``had``: what
    the node was lent until then.
    """

    node: str
    began_ms: int
    turn: int
    had: int
    under_way: int
    needed: int
    wanted: int


class PermitLoan(NamedTuple):
    """What the store lends: ``permits`` in all, negative where the node has asked again since, and to how many nodes.

    Where another node misses some of its part: how many, and when it was refused them by the store's clock.
    """

    permits: int
    nodes: int
    missing: int
    missed_at: int


async def ask_for_permits(
    client: "Client", key: str, allowance: PermitAllowance, question: PermitQuestion
) -> PermitLoan:
    """Asks; raises GatewayError or ReplyError when there is no answer."""
    one, maximum = question, allowance.maximum
    told = (one.under_way, min(one.needed, maximum), one.wanted)
    answer = await hold_permits.run(client, [key], [maximum, one.node, one.turn, FORGOTTEN_MS, *told])
    return PermitLoan(*map(int, answer))
