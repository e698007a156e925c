"""The protocol of generations searched exhaustively, and each of its rules shown to be needed."""

from __future__ import annotations

import pytest
from tests.memory.generations_model import FLAWS, search


def test_what_was_invalidated_is_not_given_to_who_asks_later() -> None:
    states, violation = search()
    assert violation == ""
    assert states > 100


@pytest.mark.parametrize("flaw", FLAWS)
def test_without_any_one_rule_the_search_finds_a_broken_protocol(flaw: str) -> None:
    assert search(flaw)[1]
