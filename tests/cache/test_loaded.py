"""What a load may know of its value."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.cache.caches import cache
from tests.redis.links import run, until

import tidegate
from tidegate.cache.loaded import Loaded, NeedsTask, Question
from tidegate.net.later import Later


def test_it_is_part_of_the_public_face_and_a_value_is_enough() -> None:
    assert tidegate.Loaded is Loaded
    assert Loaded(b"v") == (b"v", None, ())


class Asked(Question):
    """Answers at the end of the loop's turn, or as a whole load; an exception is raised."""

    def __init__(self, answer: Any, whole: Any = "by a task", *, can_ask: bool = True) -> None:
        self.answer, self.whole, self.can_ask = answer, whole, can_ask
        self.wholes = 0

    def ask(self) -> Later[Any] | None:
        if not self.can_ask:
            return None
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, self.answer)
        return Later(future, self.answered)

    def answered(self, future: asyncio.Future[Any]) -> Any:
        if isinstance(answer := future.result(), BaseException):
            raise answer
        return answer

    async def __call__(self, key: Any) -> Any:
        self.wholes += 1
        if isinstance(self.whole, BaseException):
            raise self.whole
        return self.whole


def test_a_question_is_answered_without_the_whole_load_and_kept() -> None:
    async def scenario() -> None:
        one, question = cache(), Asked(Loaded("v", tags=("t",)))
        assert await one.get("k", question) == "v"
        assert one.get_nowait("k") == "v" and question.wholes == 0
        await one.invalidate_tag("t")
        assert one.get_nowait("k") is None
        assert one.statistics().loads == 1

    run(scenario())


@pytest.mark.parametrize("question", [Asked(NeedsTask()), Asked("unused", can_ask=False)])
def test_one_that_takes_more_is_loaded_as_a_whole(question: Asked) -> None:
    async def scenario() -> None:
        one = cache()
        assert await one.get("k", question) == "by a task"
        assert (question.wholes, one.statistics().loads, one.statistics().load_failures) == (1, 1, 0)

    run(scenario())


def test_one_that_fails_is_told_and_an_older_value_will_do() -> None:
    async def scenario() -> None:
        one = cache(ttl=0.001, stale_if_error=3600.0)
        await one.set("k", "old")
        await until(lambda: one.get_nowait("k") is None)
        assert await one.get("k", Asked(OSError("no route"))) == "old"
        with pytest.raises(OSError, match="no route"):
            await one.get("other", Asked(OSError("no route")))
        assert one.statistics().load_failures == 2

    run(scenario())
