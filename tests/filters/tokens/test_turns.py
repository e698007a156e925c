"""Arithmetic that takes a bounded share of each turn of the loop."""

import asyncio

import pytest
from tests.redis.links import run

from tidegate.filters.tokens.turns import Turns


class Work:
    """Pieces that take half of a share each, by a clock of their own."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.done: list[int] = []
        self.turns: Turns[int] = Turns(1.0, 8, lambda: self.now_s)

    def piece(self, number: int) -> int:
        self.now_s += 0.5
        self.done.append(number)
        return number


def test_share_of_a_turn_is_done_at_once_and_the_rest_later() -> None:
    async def main() -> None:
        work = Work()
        assert work.turns.has_room
        assert work.turns.do(lambda: work.piece(0)) == 0
        assert work.turns.do(lambda: work.piece(1)) == 1
        assert not work.turns.has_room
        waiting = [work.turns.wait(lambda number=number: work.piece(number)) for number in range(2, 7)]  # type: ignore[misc]
        turns = 0
        done_by_turn = []
        while not waiting[-1].done():
            await asyncio.sleep(0)
            turns += 1
            done_by_turn.append(len(work.done))
            assert turns < 100
        assert max(b - a for a, b in zip([2, *done_by_turn], done_by_turn, strict=False)) == 2
        assert work.done == list(range(7))
        assert [one.result() for one in waiting] == [2, 3, 4, 5, 6]
        await asyncio.sleep(0)
        assert work.turns.has_room

    run(main())


def test_others_run_between_the_turns() -> None:
    async def main() -> None:
        work = Work()
        seen: list[int] = []

        async def other() -> None:
            for _ in range(10):
                seen.append(len(work.done))
                await asyncio.sleep(0)

        waiting = [work.turns.wait(lambda: work.piece(0)) for _ in range(8)]
        await asyncio.gather(other(), *waiting)
        assert len(set(seen)) > 3  # it saw the work in pieces, not all of it at once

    run(main())


def test_who_gives_up_leaves_the_queue_and_who_fails_is_told() -> None:
    async def main() -> None:
        work = Work()
        first = work.turns.wait(lambda: work.piece(1))
        gone = work.turns.wait(lambda: work.piece(2))
        gone.cancel()
        failed = work.turns.wait(lambda: 1 // 0)
        last = work.turns.wait(lambda: work.piece(3))
        assert await last == 3
        assert first.result() == 1
        assert work.done == [1, 3]
        with pytest.raises(ZeroDivisionError):
            await failed

    run(main())


def test_queue_is_bounded() -> None:
    async def main() -> None:
        work = Work()
        waiting = [work.turns.wait(lambda: work.piece(0)) for _ in range(8)]
        assert work.turns.is_full and not work.turns.has_room
        assert repr(work.turns).endswith("8 wait>")
        await asyncio.gather(*waiting)
        assert not work.turns.is_full

    run(main())
