"""Several limits asked as one, in a real store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from tests.limits.fleet.machines import Machine, now_ms
from tests.limits.fleet.test_lender import lender_of
from tests.redis.links import link_to, run
from tests.redis.servers import Server, serving

from tidegate.limits.fleet.allowance import QuotaAllowance, RateAllowance
from tidegate.limits.fleet.exact import PermitTicket, Ticket, Verdict, ask_for_all
from tidegate.memory.leases import ASKED_MS

DAY_MS = 86_400_000
NO_LINK = cast(Any, None)  # what is asked here is asked by the test


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def ticket(
    key: str, allowance: RateAllowance | QuotaAllowance, cost: int = 1, held: tuple[int, int] = (0, 0)
) -> Ticket:
    """``held``: what the machine knows to have of a quota, and in how many ms its window ends."""
    lender, limit = lender_of(NO_LINK, allowance, "share", "one")
    if held[0]:
        limit.table.hold(2, now_ms(), now_ms() + held[1], held[0])
    return Ticket(lender, 0, 1, 2, f"{{exact}}:{key}", cost)


def permit_of(machine: Machine) -> PermitTicket:
    """One more permit, as a request asks for it together with other limits."""
    assert machine.table.ask(machine.key, now_ms(), now_ms() + ASKED_MS)
    found = machine.lender.ticket(0, machine.key, 0, 0)
    assert found is not None
    return found._replace(key="{exact}:permits")


async def asked(server: Server, *tickets: Ticket | PermitTicket) -> Verdict:
    async with link_to(server.address) as link:
        found = await ask_for_all(link.control, tickets, now_ms())
    assert found is not None
    return found


def ask(server: Server, *tickets: Ticket | PermitTicket) -> Verdict:
    return run(asked(server, *tickets))


def test_all_are_charged_or_none_is_and_the_first_that_has_not_so_much_is_named(server: Server) -> None:
    rate, quota = ticket("r", RateAllowance(3, 3600, 2)), ticket("q", QuotaAllowance(2, DAY_MS))
    assert ask(server, rate, quota).refused == -1
    assert ask(server, rate, quota).refused == -1
    verdict = ask(server, rate, quota)
    assert verdict.refused == 1
    assert 0 < verdict.told_ms <= 1500
    assert verdict.parts[0] == (0, 0)
    assert verdict.parts[1][0] % DAY_MS == 0
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
    left_ms = ask(server, ticket("told", quota, 4)).parts[0][1]
    server.ask("DEL", "{exact}:told")
    assert ask(server, ticket("told", quota, 7, (4, left_ms))).refused == 0
    assert ask(server, ticket("told", quota, 6, (4, left_ms))).refused == -1


def test_no_answer_is_none() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with link_to(server.address) as link:
                server.ask("LPUSH", "{exact}:x", "1")
                assert await ask_for_all(link.control, [ticket("x", RateAllowance(1, 1))], now_ms()) is None

    run(scenario())


def test_permit_is_taken_with_what_else_a_request_takes_or_nothing_is(server: Server) -> None:
    rate = RateAllowance(9, 3600, 3)

    async def scenario() -> None:
        one, other = (Machine(NO_LINK, name, 2, mode="exact") for name in ("one", "other"))
        try:
            for _ in range(2):
                permit = permit_of(one)
                verdict = await asked(server, ticket("with", rate), permit)
                assert verdict.refused == -1
                one.lender.heard(permit, verdict, 1)
                assert one.take_nowait()
            permit = permit_of(other)
            verdict = await asked(server, ticket("with", rate), permit)
            assert verdict.refused == 1
            other.lender.heard(permit, verdict, 1)
            assert other.take_nowait() is False  # for a moment nobody asks
            # Two of four are left: what the permits refuse is not charged to the rate; nor the other way round.
            assert (await asked(server, ticket("with", rate, 3))).refused == 0
            one.give_back()
            other.table.free(other.key, now_ms())
            verdict = await asked(server, permit_of(one), ticket("with", rate, 2))
            assert (verdict.refused, verdict.parts[0][0]) == (-1, 2)
            one.table.free(one.key, now_ms())
            assert (await asked(server, permit_of(one), ticket("with", rate))).refused == 1
        finally:
            one.close()
            other.close()

    run(scenario())
