"""The compiled part of a lane, without a server: what is written when, and whose reply is whose."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.redis.links import background, run

from tidegate.redis.commands import LARGE
from tidegate.redis.meters import Meters
from tidegate.redis.pipeline import Pipeline, Waiter, has_large


class Wire:
    """A connection that keeps what it is given."""

    def __init__(self) -> None:
        self.is_paused = False
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


class Plain(Pipeline):
    """A lane that decides nothing."""

    def __init__(self, **options: Any) -> None:
        bounds = {"batch": 64, "linger_s": 0.0, "timeout_s": 60.0, "max_commands": 1000, "max_bytes": 1 << 20}
        super().__init__(asyncio.get_running_loop(), Meters(), **(bounds | options))
        self.told: list[str] = []

    def wait(self, future: asyncio.Future[Any], args: tuple[Any, ...], timeout_s: float | None) -> None:
        self.waiting.append(Waiter(future, args, self.now_s + 60.0, None))

    def watch(self, deadline: float, future: asyncio.Future[Any] | None) -> None:
        pass

    def refused(self, error: Exception, command: Any) -> bool:
        return False

    def out_of_step(self) -> None:
        self.told.append("out of step")

    def pushed(self, message: Any) -> None:
        self.told.append(f"pushed {message}")


def connected(**options: Any) -> tuple[Plain, Wire]:
    lane, wire = Plain(**options), Wire()
    lane.use(wire)  # type: ignore[arg-type]
    return lane, wire


def test_nothing_is_written_before_the_turn_ends() -> None:
    async def scenario() -> None:
        lane, wire = connected()
        lane.call("PING")
        lane.call("PING")
        assert wire.written == []
        await asyncio.sleep(0)
        assert wire.written == [b"*1\r\n$4\r\nPING\r\n" * 2]
        await asyncio.sleep(0)
        assert (lane.writes, lane.commands, lane.in_flight_count) == (1, 2, 2)

    run(scenario())


@given(st.lists(st.lists(st.booleans(), max_size=5), max_size=8))
def test_each_reply_goes_to_the_oldest_command_in_flight(turns: list[list[bool]]) -> None:
    """Each turn has some calls, of which some are cancelled; then all replies come in one read."""

    async def scenario() -> None:
        lane, _ = connected()
        calls: list[tuple[asyncio.Future[Any], bool]] = []
        for turn in turns:
            calls += [(lane.call("ECHO", len(calls)), is_kept) for is_kept in turn]
            await asyncio.sleep(0)
        for future, is_kept in calls:
            if not is_kept:
                future.cancel()
        lane.take([b"%d" % number for number in range(len(calls))])
        for number, (future, is_kept) in enumerate(calls):
            assert future.cancelled() if not is_kept else future.result() == b"%d" % number
        assert lane.dropped == sum(not is_kept for _, is_kept in calls)
        assert (lane.in_flight_count, lane.bytes_in_flight) == (0, 0)

    run(scenario())


def test_no_caller_runs_while_replies_are_handed_out() -> None:
    async def scenario() -> None:
        lane, _ = connected()
        seen: list[int] = []

        async def caller() -> None:
            await lane.call("PING")
            seen.append(lane.in_flight_count)

        tasks = [background(caller()) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        lane.take([b"PONG"] * 3)
        assert seen == []
        await asyncio.gather(*tasks)
        assert seen == [0, 0, 0]

    run(scenario())


def test_large_command_is_written_over_several_turns_and_others_keep_their_place() -> None:
    async def scenario() -> None:
        lane, wire = connected(max_bytes=1 << 30)
        value = b"v" * (1 << 20)
        lane.call("ECHO", "before")
        lane.call("SET", "k", value)
        lane.call("ECHO", "behind")
        writes = 0
        while lane.commands < 3:
            await asyncio.sleep(0)
            assert len(wire.written) - writes <= 1, "one write a turn"
            writes = len(wire.written)
        assert max(map(len, wire.written)) <= 600_000
        whole = b"".join(wire.written)
        assert whole.startswith(b"*2\r\n$4\r\nECHO\r\n$6\r\nbefore\r\n*3\r\n$3\r\nSET\r\n")
        assert whole.endswith(b"v\r\n*2\r\n$4\r\nECHO\r\n$6\r\nbehind\r\n")
        assert whole.count(b"v") == len(value)

    run(scenario())


def test_nothing_is_written_while_the_socket_takes_nothing() -> None:
    async def scenario() -> None:
        lane, wire = connected()
        wire.is_paused = True
        lane.call("PING")
        await asyncio.sleep(0.01)
        assert wire.written == []
        wire.is_paused = False
        lane.write()
        assert len(wire.written) == 1

    run(scenario())


def test_what_was_not_handed_over_is_told_apart() -> None:
    async def scenario() -> None:
        lane, wire = connected()
        first = lane.call("ECHO", 1)
        await asyncio.sleep(0)
        wire.is_paused = True
        second = lane.call("ECHO", 2)
        await asyncio.sleep(0)
        third = lane.call("ECHO", 3)
        written, unwritten = lane.take_all()
        assert [one.future for one in written] == [first]
        assert [one.future for one, _ in unwritten] == [second, third]
        assert (lane.in_flight_count, lane.bytes_in_flight) == (0, 0)

    run(scenario())


def test_who_is_late_is_told_once_and_keeps_his_place() -> None:
    async def scenario() -> None:
        lane, _ = connected(timeout_s=10.0)
        first = lane.call("ECHO", 1)
        await asyncio.sleep(0)
        before = lane.now_s
        await asyncio.sleep(0)
        second = lane.call("ECHO", 2)
        await asyncio.sleep(0)
        assert lane.take_late(before + 5) == ([], False)
        assert lane.take_late(before + 10) == ([first], True)
        assert lane.take_late(before + 10) == ([], False)
        assert lane.expired == 1
        lane.take([b"1"])
        assert lane.expired == 0
        assert lane.take_late(before + 60) == ([second], False), "something was heard since it was sent"
        lane.take([b"2"])
        assert lane.next_late_s() is None

    run(scenario())


def test_reply_without_a_command_is_noticed_and_pushes_are_none() -> None:
    from hiredis import PushNotification

    async def scenario() -> None:
        lane, _ = connected()
        future = lane.call("PING")
        await asyncio.sleep(0)
        lane.take([PushNotification([b"message"]), b"PONG"])
        assert future.result() == b"PONG"
        assert lane.told == ["pushed [b'message']"]
        lane.take([b"more"])
        assert lane.told[1:] == ["out of step"]

    run(scenario())


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 300_000])
def test_bytes_in_flight_are_what_is_written(size: int) -> None:
    async def scenario() -> None:
        lane, wire = connected()
        lane.call("SET", "k", b"x" * size)
        flying = lane.bytes_in_flight
        for _ in range(10):
            await asyncio.sleep(0)
        assert sum(map(len, wire.written)) == flying == lane.bytes_out

    run(scenario())


@pytest.mark.parametrize(
    ("args", "is_so"),
    [
        (("GET", "k"), False),
        (("SET", "k", b"x" * (LARGE - 1)), False),
        (("SET", "k", b"x" * LARGE), True),
        (("SET", "k", 10**100), False),
        (("SET", "k", memoryview(b"x" * LARGE)), True),
    ],
)
def test_large_is_what_has_so_many_bytes(args: tuple[Any, ...], is_so: bool) -> None:
    assert has_large(args) is is_so
