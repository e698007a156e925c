"""One timer that ends whatever is waited for too long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.redis.links import run, until

from tidegate.cache.patience import Patience

FAR_S = 3600.0


def future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


def late() -> Exception:
    return OSError("late")


def test_each_fails_at_its_own_time_whatever_came_before() -> None:
    async def scenario() -> None:
        patience = Patience()
        far, soon, sooner = future(), future(), future()
        patience.bound(far, FAR_S, late)
        patience.bound(soon, 0.02, late)
        patience.bound(sooner, 0.01, late)
        await until(sooner.done)
        await until(soon.done)
        for one in (soon, sooner):
            with pytest.raises(OSError, match="late"):
                one.result()
        assert not far.done()

    run(scenario())


def test_what_is_done_in_time_is_left_alone() -> None:
    async def scenario() -> None:
        patience = Patience()
        done, left, last = future(), future(), future()
        for one in (done, left):
            patience.bound(one, 0.005, late)
        done.set_result("in time")
        left.cancel()
        patience.bound(last, 0.01, late)
        with pytest.raises(OSError, match="late"):
            await last
        assert done.result() == "in time" and left.cancelled()

    run(scenario())


def test_what_is_done_is_not_kept_behind_one_that_waits_for_long() -> None:
    """A value is as large as it is, and its future has it."""

    async def scenario() -> None:
        patience = Patience()
        patience.bound(future(), FAR_S, late)
        for _ in range(10_000):
            quick = future()
            patience.bound(quick, 2 * FAR_S, late)
            quick.set_result("done")
        assert len(patience) <= 128

    run(scenario())


def test_many_that_wait_are_looked_through_seldom() -> None:
    async def scenario() -> None:
        patience = Patience()
        waiting = [future() for _ in range(1000)]
        for one in waiting:
            patience.bound(one, 0.02, late)
        assert len(patience) == 1000
        await until(lambda: all(one.done() for one in waiting))
        for one in waiting:
            assert isinstance(one.exception(), OSError)
        assert len(patience) == 0

    run(scenario())
