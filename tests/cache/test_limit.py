"""One timer that ends whatever takes too long, without touching what does not."""

from __future__ import annotations

import asyncio

import pytest
from tests.redis.links import background, run, until

from tidegate.cache.limit import Limit

FAR_S = 3600.0


async def for_ever(limit: Limit) -> None:
    with limit.run():
        await asyncio.get_running_loop().create_future()


def test_every_block_that_takes_too_long_is_ended_with_a_timeout() -> None:
    async def scenario() -> None:
        limit = Limit(0.01)
        running = [background(outcome_of(limit)) for _ in range(20)]
        await asyncio.sleep(0)
        running += [background(outcome_of(limit)) for _ in range(20)]  # late only after the first ones
        assert await asyncio.gather(*running) == [0] * 40
        assert len(limit) == 0

    async def outcome_of(limit: Limit) -> int:
        """How often its task is still to be cancelled after the timeout: never, or the next wait would fail too."""
        with pytest.raises(TimeoutError):
            await for_ever(limit)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    run(scenario())


def test_one_that_ends_in_time_is_forgotten_and_its_task_goes_on() -> None:
    async def scenario() -> None:
        limit = Limit(0.05)
        with limit.run() as block:
            assert len(limit) == 1
        assert len(limit) == 0
        await background(ended(limit))  # the timer has looked meanwhile
        assert not block.is_over

    async def ended(limit: Limit) -> None:
        with pytest.raises(TimeoutError):
            await for_ever(limit)

    run(scenario())


def test_a_failure_of_the_block_is_its_own() -> None:
    async def scenario() -> None:
        limit = Limit(FAR_S)
        with pytest.raises(LookupError), limit.run():
            raise LookupError
        assert len(limit) == 0

    run(scenario())


def test_who_cancels_the_task_is_not_told_of_a_timeout() -> None:
    async def scenario() -> None:
        limit = Limit(FAR_S)
        task = background(for_ever(limit))
        await until(lambda: len(limit) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(limit) == 0

    run(scenario())


def test_who_cancels_the_task_while_its_time_is_over_is_not_told_of_a_timeout_either() -> None:
    async def scenario() -> None:
        limit = Limit(FAR_S)
        task = background(both(limit))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    async def both(limit: Limit) -> None:
        task = asyncio.current_task()
        assert task is not None
        with limit.run() as block:
            block.end()
            task.cancel()
            await asyncio.sleep(0)

    run(scenario())


def test_a_limit_is_for_a_task() -> None:
    async def scenario() -> None:
        failed = asyncio.get_running_loop().create_future()

        def outside() -> None:
            with pytest.raises(RuntimeError, match="task"):
                Limit(FAR_S).run()
            failed.set_result(True)

        asyncio.get_running_loop().call_soon(outside)
        assert await failed

    run(scenario())
