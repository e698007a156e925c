"""Questions about quotas to a real store: windows, parts of nodes, and what is told again when it was forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.redis.links import link_to, run
from tests.redis.servers import Server, serving

from tidegate.limits.fleet.allowance import QuotaAllowance, RateAllowance
from tidegate.limits.fleet.loans import Loan, Question, ask

DAY_MS = 86_400_000
A = Question(least=1, wanted=1, node="a", nodes=1)
B = replace(A, node="b")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def asked(server: Server, key: str, allowance: Any, *questions: Question) -> list[Loan]:
    async def scenario() -> list[Loan]:
        async with link_to(server.address) as link:
            return [await ask(link.control, key, allowance, one) for one in questions]

    return run(scenario())


def lent(server: Server, key: str, allowance: Any, *questions: Question) -> list[int]:
    return [loan.credits for loan in asked(server, key, allowance, *questions)]


def test_a_rate_is_asked_in_its_own_words(server: Server) -> None:
    loan, again = asked(server, "rate", RateAllowance(10, 3600, 9), replace(A, wanted=10), A)
    assert (loan.credits, loan.window) == (10, 0)
    assert again.credits == 0


@pytest.mark.parametrize("window", ["aligned", "first_use", "sliding"])
def test_nodes_together_have_the_quota_and_no_more(server: Server, window: str) -> None:
    quota = QuotaAllowance(20, DAY_MS, window)
    found = lent(server, f"q:{window}", quota, *[replace(one, wanted=3) for _ in range(6) for one in (A, B)])
    assert sum(found) == 20
    assert found[-1] == 0


def test_windows_end_at_midnight_or_a_period_after_the_first_use(server: Server) -> None:
    (aligned,) = asked(server, "w:aligned", QuotaAllowance(5, DAY_MS), A)
    seconds, _ = server.ask("TIME")
    assert aligned.window % DAY_MS == 0
    assert 0 <= aligned.window - int(seconds) * 1000 <= DAY_MS
    first, second = asked(server, "w:first", QuotaAllowance(5, DAY_MS, "first_use"), A, B)
    assert DAY_MS - 60_000 < second.ends_ms <= first.ends_ms == DAY_MS
    assert first.window == second.window


def test_the_last_of_a_window_is_lent_in_small_parts(server: Server) -> None:
    quota, one = QuotaAllowance(100, DAY_MS), replace(A, wanted=16, nodes=5)
    assert lent(server, "small", quota, *[one] * 6) == [10, 9, 9, 8, 7, 6]
    assert lent(server, "small", quota, replace(one, least=16)) == [16]  # who needs so much has it


def test_what_is_given_back_is_of_its_window_alone(server: Server) -> None:
    quota = QuotaAllowance(10, DAY_MS)
    (loan,) = asked(server, "back", quota, replace(A, wanted=10, least=10))
    returning = replace(A, wanted=0, least=0, returned=4)
    lent(server, "back", quota, replace(returning, window=loan.window - DAY_MS), returning)
    assert lent(server, "back", quota, B) == [0]
    lent(server, "back", quota, replace(returning, window=loan.window))
    assert lent(server, "back", quota, *[B] * 5) == [1, 1, 1, 1, 0]


def test_what_a_node_let_in_by_itself_counts_and_may_be_more_than_there_is(server: Server) -> None:
    quota = QuotaAllowance(10, DAY_MS)
    assert lent(server, "alone", quota, replace(A, used=25), B, A) == [0, 0, 0]
    assert server.ask("HGET", "alone", "n:a") == b"25"


def test_a_store_that_has_forgotten_is_told_again_however_often(server: Server) -> None:
    quota = QuotaAllowance(10, DAY_MS)
    (loan,) = asked(server, "told", quota, replace(A, wanted=6, least=6))
    server.ask("DEL", "told")
    knows = replace(A, wanted=0, least=0, held=6, held_left_ms=loan.ends_ms)
    lent(server, "told", quota, knows, knows)
    assert lent(server, "told", quota, *[B] * 5) == [1, 1, 1, 1, 0]
    # What it had of the window before says nothing of this one.
    lent(server, "told", quota, replace(knows, held=500, held_left_ms=0 if loan.ends_ms > DAY_MS / 2 else DAY_MS))
    assert server.ask("HGET", "told", "n:a") == b"6"


def test_a_window_of_first_use_goes_on_where_a_node_has_it(server: Server) -> None:
    quota = QuotaAllowance(10, DAY_MS, "first_use")
    (loan,) = asked(server, "goes on", quota, replace(A, held=6, held_left_ms=1_000_000))
    assert (loan.credits, loan.ends_ms) == (1, 1_000_000)
    assert server.ask("HGET", "goes on", "n:a") == b"7"


def test_of_the_window_before_a_sliding_one_counts_what_it_still_reaches_into(server: Server) -> None:
    quota = QuotaAllowance(1000, DAY_MS, "sliding")
    (loan,) = asked(server, "slides", quota, A)
    before = loan.window - DAY_MS
    server.ask("DEL", "slides")
    server.ask("HSET", "slides", "ends", before, "n:a", 300, "n:b", 300)
    reaches = -(-600 * loan.ends_ms // DAY_MS)
    (found,) = lent(server, "slides", quota, replace(A, wanted=1000, least=0, nodes=1))
    assert abs(found - -(-(1000 - reaches) // 2)) <= 1
    server.ask("DEL", "slides")
    server.ask("HSET", "slides", "ends", before - DAY_MS, "n:a", 600)
    assert lent(server, "slides", quota, replace(A, wanted=1000, least=0)) == [500]


def test_window_that_is_further_ahead_than_it_is_long_gives_way(server: Server) -> None:
    server.ask("HSET", "ahead", "ends", 4 * 10**15, "n:b", 10)
    assert lent(server, "ahead", QuotaAllowance(10, DAY_MS), A) == [1]


def test_when_nothing_is_left_it_is_asked_again_soon_while_others_may_give_back(server: Server) -> None:
    quota = QuotaAllowance(3, DAY_MS)
    *_, empty = asked(server, "soon", quota, *[A] * 4)
    assert 0 < empty.told_ms <= 1500
    server.ask("HSET", "soon", "lent", empty.window - DAY_MS)
    (later,) = asked(server, "soon", quota, A)
    assert later.told_ms == later.ends_ms


def test_a_quota_is_gone_when_nobody_needs_it_any_more(server: Server) -> None:
    for window, longest in (("first_use", DAY_MS), ("sliding", 2 * DAY_MS)):
        key = f"gone:{window}"
        asked(server, key, QuotaAllowance(3, DAY_MS, window), A)
        assert longest - DAY_MS < server.ask("PTTL", key) <= longest
