"""What a store says of permits: the real script, and that fleets are played with a store that answers the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.limits.fleet.permit_book import PermitBook
from tests.redis.links import link_to, run
from tests.redis.servers import Server, serving

from tidegate.limits.fleet.scripts import hold_permits

LIFE_MS = 5000

# The same script with the time given to it, and keys that live by that time.
AT_A_TIME = hold_permits.text.replace("redis.call('TIME')", "{ARGV[8], ARGV[9]}").replace(
    "redis.call('PEXPIRE', key, life)", ""
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def hold(server: Server, key: str, *words: int | str) -> list[int]:
    """Maximum, node, turn, ms that it is remembered, under way, needed, wanted."""

    async def ask() -> list[int]:
        async with link_to(server.address) as link:
            return [int(word) for word in await hold_permits.run(link.control, [key], words)]

    return run(ask())


def test_all_nodes_together_are_lent_what_there_is(server: Server) -> None:
    assert hold(server, "all", 10, "a", 1, LIFE_MS, 0, 6, 6)[:2] == [6, 1]
    assert hold(server, "all", 10, "b", 1, LIFE_MS, 0, 6, 6)[:2] == [4, 2]
    assert hold(server, "all", 10, "a", 2, LIFE_MS, 3, 3, 3)[:2] == [3, 2]
    assert hold(server, "all", 10, "b", 2, LIFE_MS, 4, 7, 7)[0] == 7


def test_what_is_under_way_beyond_what_was_lent_counts_and_is_no_licence_for_more(server: Server) -> None:
    assert hold(server, "beyond", 4, "a", 1, LIFE_MS, 0, 4, 4)[0] == 4
    assert hold(server, "beyond", 4, "back", 1, LIFE_MS, 3, 3, 3)[0] == 0
    assert hold(server, "beyond", 4, "a", 2, LIFE_MS, 2, 2, 2)[0] == 1
    assert hold(server, "beyond", 4, "c", 1, LIFE_MS, 0, 1, 1)[0] == 0


def test_earlier_question_that_comes_later_changes_nothing(server: Server) -> None:
    assert hold(server, "late", 9, "a", 7, LIFE_MS, 0, 5, 5)[0] == 5
    assert hold(server, "late", 9, "a", 6, LIFE_MS, 0, 1, 1)[0] == -1
    assert hold(server, "late", 9, "b", 1, LIFE_MS, 0, 9, 9)[0] == 4
    assert hold(server, "late", 9, "a", 0, LIFE_MS, 0, 1, 1)[0] == -1
    # Turns come round.
    assert hold(server, "round", 9, "a", (1 << 24) - 1, LIFE_MS, 0, 5, 5)[0] == 5
    assert hold(server, "round", 9, "a", 0, LIFE_MS, 0, 2, 2)[0] == 2
    assert hold(server, "round", 9, "a", (1 << 24) - 1, LIFE_MS, 0, 5, 5)[0] == -1


def test_node_that_is_not_heard_is_forgotten_with_what_it_has(server: Server) -> None:
    assert hold(server, "gone", 3, "a", 1, 1, 3, 3, 3)[0] == 3
    server.ask("DEBUG", "SLEEP", "0.01")
    assert hold(server, "gone", 3, "b", 1, 1, 0, 3, 3)[:2] == [3, 1]


def test_nothing_is_kept_of_nodes_that_have_nothing(server: Server) -> None:
    hold(server, "nothing", 3, "a", 1, LIFE_MS, 2, 2, 2)
    assert 0 < server.ask("PTTL", "nothing") <= LIFE_MS
    hold(server, "nothing", 3, "a", 2, LIFE_MS, 0, 0, 0)
    assert server.ask("EXISTS", "nothing") == 0


def test_what_a_node_misses_of_its_part_is_told_and_kept_for_it(server: Server) -> None:
    assert hold(server, "part", 6, "a", 1, LIFE_MS, 6, 6, 6)[0] == 6
    assert hold(server, "part", 6, "b", 1, LIFE_MS, 0, 2, 4)[0] == 0
    lent, nodes, missing, _ = hold(server, "part", 6, "a", 2, LIFE_MS, 6, 6, 6)
    assert (lent, nodes, missing) == (6, 2, 2)  # nobody has less because of it than he had
    assert hold(server, "part", 6, "a", 3, LIFE_MS, 4, 4, 4)[0] == 4
    assert hold(server, "part", 6, "a", 4, LIFE_MS, 4, 6, 6)[0] == 4  # and nobody more
    assert hold(server, "part", 6, "b", 2, LIFE_MS, 0, 2, 2)[0] == 2
    assert hold(server, "part", 6, "a", 5, LIFE_MS, 4, 4, 4)[2] == 0


def test_limit_that_was_lowered_lends_less_from_the_next_question_on(server: Server) -> None:
    assert hold(server, "lower", 9, "a", 1, LIFE_MS, 2, 9, 9)[0] == 9
    assert hold(server, "lower", 4, "a", 2, LIFE_MS, 2, 9, 9)[0] == 4
    assert hold(server, "lower", 0, "a", 3, LIFE_MS, 2, 9, 9)[0] == 0


QUESTIONS = st.tuples(
    st.integers(-3000, 3000),  # ms since the one before: clocks step back at times
    st.sampled_from("abc"),
    st.integers(-2, 3),  # turns since the node's last
    st.integers(0, 12),  # under way
    st.integers(0, 12),  # needed
    st.integers(0, 12),  # wanted
)


@settings(max_examples=40)
@given(st.integers(0, 20), st.lists(QUESTIONS, min_size=1, max_size=25))
def test_the_store_that_fleets_are_played_with_answers_as_the_script_does(
    server: Server, maximum: int, questions: list[tuple[int, str, int, int, int, int]]
) -> None:
    book, now_ms, turns = PermitBook(), 1_790_000_000_000, {"a": 0, "b": (1 << 24) - 2, "c": 1 << 23}
    assert AT_A_TIME.count("ARGV[8]") == 1
    assert "PEXPIRE" not in AT_A_TIME

    async def scenario() -> None:
        nonlocal now_ms
        async with link_to(server.address) as link:
            await link.control.delete("compared")
            for later, node, turn, used, needed, wanted in questions:
                now_ms += later
                turns[node] = (turns[node] + turn) % (1 << 24)
                words = (maximum, node, turns[node], LIFE_MS, used, needed, wanted)
                time = (now_ms // 1000, now_ms % 1000 * 1000)
                found = await link.control.call("EVAL", AT_A_TIME, 1, "compared", *words, *time)
                assert tuple(map(int, found)) == book.hold(now_ms, *words)

    run(scenario())
