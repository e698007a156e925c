"""One question to the store about one key: what it is told, what is wanted, and what it lends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tidegate.limits.fleet.allowance import QuotaAllowance, RateAllowance
from tidegate.limits.fleet.scripts import borrow_quota, borrow_rate

if TYPE_CHECKING:
    from tidegate.redis.client import Client

__all__ = ["Loan", "Question", "ask"]


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
            client, [key], [*bucket, one.least, one.wanted, one.returned, one.used, one.since_ms]
        )
    else:
        quota = (allowance.maximum, allowance.period_ms, allowance.window, one.node, one.nodes)
        told = (one.returned, one.window, one.used, one.held, one.held_left_ms)
        answer = await borrow_quota.run(client, [key], [*quota, one.least, one.wanted, *told])
    return Loan(*map(int, answer))
