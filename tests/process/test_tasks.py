import asyncio
import gc
import logging

import pytest

from tidegate.process import tasks


def test_task_carries_its_name() -> None:
    async def main() -> str:
        async def own_name() -> str:
            current = asyncio.current_task()
            assert current is not None
            return current.get_name()

        return await tasks.start(own_name(), "resolve orders")

    assert asyncio.run(main()) == "resolve orders"


def test_task_that_nobody_holds_survives_the_collector() -> None:
    class Cycle:
        """A task in a reference cycle that nothing else points to is what the collector may take."""

    async def park(cycle: Cycle, ended: list[str]) -> None:
        try:
            cycle.future = asyncio.get_running_loop().create_future()  # type: ignore[attr-defined]
            await cycle.future  # type: ignore[attr-defined]
        finally:
            ended.append("ended")

    async def main() -> tuple[int, int]:
        ended: list[str] = []
        tasks.start(park(Cycle(), ended), "parked")
        await asyncio.sleep(0)
        gc.collect()
        alive = [task for task in asyncio.all_tasks() if task.get_name() == "parked"]
        seen = (len(alive), len(ended))
        alive[0].cancel()
        await asyncio.wait(alive)
        return seen

    assert asyncio.run(main()) == (1, 0)


def test_ended_task_is_let_go() -> None:
    async def main() -> int:
        before = len(tasks._running)
        await asyncio.wait([tasks.start(asyncio.sleep(0), "short"), tasks.start(fail(), "failing")])
        await asyncio.sleep(0)
        return len(tasks._running) - before

    assert asyncio.run(main()) == 0


async def fail() -> None:
    raise ValueError("no such endpoint")


def test_failure_is_logged_once_with_the_name(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        task = tasks.start(fail(), "refresh orders")
        with pytest.raises(ValueError, match="no such endpoint"):
            await task
        await asyncio.sleep(0)

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())
        gc.collect()
    failures = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in failures] == ["task 'refresh orders' failed"]
    assert "no such endpoint" in caplog.text


def test_cancelled_task_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        task = tasks.start(asyncio.sleep(3600), "sleeper")
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
