"""A JSON object in a file, watched."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.cache.caches import cache
from tests.redis.links import FAR_S, Log, run, until

from tidegate.cache import file_members
from tidegate.cache.cache import Cache
from tidegate.cache.file_members import FILE_MAX, FileMembers
from tidegate.cache.follower import Changed, Whole
from tidegate.edge.preload import preload
from tidegate.errors import GatewayError


def write(path: Path, content: Any) -> None:
    """As it should be written: it is there whole, or not at all."""
    beside = path.with_suffix(".beside")
    beside.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    beside.rename(path)


@contextlib.asynccontextmanager
async def watching(path: Path, log: Log | None = None, **options: Any) -> AsyncIterator[Cache]:
    made = cache(
        watch_file=str(path), codec="json", say=(Log() if log is None else log).say, **{"wait": FAR_S} | options
    )
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileMembers.__init__, "__defaults__", (0.01,))


def test_all_is_there_before_anybody_asks_and_what_is_written_comes_by_itself(tmp_path: Path) -> None:
    async def scenario() -> None:
        file, log = tmp_path / "prices.json", Log()
        write(file, {"tea": 1, "salt": {"kg": 2}, "é": 3})
        async with watching(file, log) as one:
            await preload({"test": one}, {}, log.say)
            assert [one.get_nowait(key) for key in ("tea", "salt", "é")] == [1, {"kg": 2}, 3]
            write(file, {"tea": 1, "salt": {"kg": 4}, "new": 5})
            await until(lambda: one.get_nowait("salt") == {"kg": 4} and one.get_nowait("new") == 5)
            await until(lambda: one.get_nowait("é") is None)
            assert await one.get(b"tea") == 1 and await one.get("unknown") is None
            assert one.statistics().source.changes == 3 and not log  # type: ignore[union-attr]

    run(scenario())


@pytest.mark.parametrize("broken", [b"{", b"[1]", b"[" * 100_000, b'{"a": ' + b"[" * 2000, None, b" " * (FILE_MAX + 1)])
def test_a_file_that_cannot_be_read_leaves_what_was_there(tmp_path: Path, broken: bytes | None) -> None:
    async def scenario() -> None:
        file, log = tmp_path / "prices.json", Log()
        write(file, {"tea": 1})
        async with watching(file, log) as one:
            await one.preload()
            if broken is None:
                file.unlink()
            else:
                write(file, broken)
            await until(lambda: log.kinds == ["cache_source_lost"])
            assert str(file) in log[0].message and one.get_nowait("tea") == 1
            with pytest.raises(GatewayError):
                await one.get("not at hand")
            write(file, {"tea": 2})
            await until(lambda: one.get_nowait("tea") == 2)
            await until(lambda: log.kinds == ["cache_source_lost", "cache_source_back"])

    run(scenario())


def test_a_member_that_nobody_can_read_is_none_and_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        file = tmp_path / "prices.json"
        write(file, b'{"tea": 1, "odd": "\xff"}')
        async with watching(file) as one:
            await one.preload()
            assert one.get_nowait("tea") == 1 and await one.get("odd") is None
            assert one.statistics().source.unreadable >= 1  # type: ignore[union-attr]

    run(scenario())


def test_changes_are_the_members_that_differ(tmp_path: Path) -> None:
    async def scenario() -> None:
        file = tmp_path / "prices.json"
        write(file, {"same": [1], "other": 1, "gone": 1, "null": None})
        async with contextlib.aclosing(FileMembers(file).say()) as said:
            first = await anext(said)
            assert isinstance(first, Whole) and set(first.values) == {"same", "other", "gone", "null"}
            assert await anext(said) == Changed((), pytest.approx(file_members._boot_s(), abs=FAR_S))
            write(file, {"same": [1], "other": True, "new": 1, "null": None})
            changed: set[Any] = set()
            while not changed:
                changed = set((await anext(said)).keys)  # type: ignore[union-attr]
            assert changed == {"gone", "new", "other"}, "1 is not true"
            write(file, {"same": [2]})
            while "same" not in changed:
                changed = set((await anext(said)).keys)  # type: ignore[union-attr]
        await asyncio.sleep(0)

    run(scenario())


def test_once_a_second_is_how_often_it_looks() -> None:
    assert file_members.LOOK_S == 1.0
