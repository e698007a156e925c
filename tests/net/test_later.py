"""A wait without a task, for who calls back and for who awaits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import tidegate
from tidegate.net.later import Later


def doubled(future: asyncio.Future[int]) -> int:
    return 2 * future.result()


def outcome(future: asyncio.Future[Any]) -> str:
    return repr(future.exception())


def test_it_is_part_of_the_public_face() -> None:
    assert tidegate.Later is Later


def test_who_awaits_it_gets_what_is_made_of_the_future() -> None:
    async def scenario() -> None:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, 21)
        assert await Later(future, doubled) == 42
        assert await Later(future, doubled) == 42, "a future that is done is not waited for"

    asyncio.run(scenario())


def test_what_went_wrong_is_for_then_to_judge() -> None:
    async def scenario() -> None:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, OSError("gone"))
        assert await Later(future, outcome) == "OSError('gone')"
        with pytest.raises(OSError, match="gone"):
            await Later(future, doubled)

    asyncio.run(scenario())


def test_who_is_cancelled_or_out_of_time_lets_go_of_the_future() -> None:
    async def scenario() -> None:
        future = asyncio.get_running_loop().create_future()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await Later(future, doubled)
        assert future.cancelled()

    asyncio.run(scenario())


def test_an_error_thrown_at_who_awaits_is_his_own() -> None:
    async def scenario() -> None:
        waiting = Later(asyncio.get_running_loop().create_future(), doubled).__await__()
        next(waiting)
        with pytest.raises(ValueError, match="mine"):
            waiting.throw(ValueError("mine"))

    asyncio.run(scenario())
