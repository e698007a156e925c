"""Several limits asked as one, in a real store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from tests.redis.links import link_to, run
from tests.redis.servers import Server, serving

from tidegate.limits.fleet.allowance import QuotaAllowance, RateAllowance
from tidegate.limits.fleet.exact import Ticket, Verdict, ask_for_all

DAY_MS = 86_400_000


class Lender:
    """What a ticket asks of its lender."""

    def __init__(self, allowance: RateAllowance | QuotaAllowance) -> None:
        self.nodes = self
        self.name = "one"
        self._allowance = allowance

    def allowance(self, which: int) -> RateAllowance | QuotaAllowance:
        assert which == 0
        return self._allowance


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def ticket(key: str, allowance: RateAllowance | QuotaAllowance, cost: int = 1) -> Ticket:
    return Ticket(cast(Any, Lender(allowance)), 0, 1, 2, f"{{exact}}:{key}", cost)


def ask(server: Server, *tickets: Ticket, held: tuple[int, int] = (0, 0)) -> Verdict:
    async def scenario() -> Verdict | None:
        async with link_to(server.address) as link:
            return await ask_for_all(link.control, tickets, [held] * len(tickets))

    found = run(scenario())
    assert found is not None
    return found


def test_all_are_charged_or_none_is_and_the_first_that_has_not_so_much_is_named(server: Server) -> None:
    rate, quota = ticket("r", RateAllowance(3, 3600, 2)), ticket("q", QuotaAllowance(2, DAY_MS))
    assert ask(server, rate, quota).refused == -1
    assert ask(server, rate, quota).refused == -1
    verdict = ask(server, rate, quota)
    assert verdict.refused == 1
    assert 0 < verdict.told_ms <= 1500
    assert verdict.windows[0] == (0, 0)
    assert verdict.windows[1][0] % DAY_MS == 0
    # The rate has one left: the quota's refusals were not charged to it.
    assert ask(server, rate).refused == -1
    verdict = ask(server, rate)
    assert verdict.refused == 0
    assert 1_000_000 < verdict.told_ms <= 1_200_000


def test_a_rate_lends_nothing_ahead_however_high_it_is(server: Server) -> None:
    rate = RateAllowance(1000, 1000, 4)
    assert [ask(server, ticket("fast", rate)).refused for _ in range(5)] == [-1] * 5
    assert ask(server, ticket("fast", rate, 2)).refused == 0


def test_cost_beyond_what_there_is_takes_nothing(server: Server) -> None:
    quota = QuotaAllowance(10, DAY_MS)
    assert [ask(server, ticket("cost", quota, cost)).refused for cost in (8, 3, 2)] == [-1, 0, -1]


def test_what_the_store_has_forgotten_it_is_told_with_the_question(server: Server) -> None:
    quota = QuotaAllowance(10, DAY_MS)
    left_ms = ask(server, ticket("told", quota, 4)).windows[0][1]
    server.ask("DEL", "{exact}:told")
    assert ask(server, ticket("told", quota, 7), held=(4, left_ms)).refused == 0
    assert ask(server, ticket("told", quota, 6), held=(4, left_ms)).refused == -1


def test_no_answer_is_none() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with link_to(server.address) as link:
                server.ask("LPUSH", "{exact}:x", "1")
                assert await ask_for_all(link.control, [ticket("x", RateAllowance(1, 1))], [(0, 0)]) is None

    run(scenario())
