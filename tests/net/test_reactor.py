"""Events in batches, faults that stay where they belong, and the timer wheel against a list of deadlines."""

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.net.probe import ProbeChannel, turn, wheel_ms
from tidegate.net.reactor import Reactor

pytestmark = pytest.mark.sanitize

TICK_MS = 100
HORIZON_MS = 1023 * TICK_MS


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@pytest.fixture
def reactor(loop: asyncio.AbstractEventLoop) -> Iterator[Reactor]:
    reactor = Reactor(loop)
    yield reactor
    reactor.close()
    assert reactor.statistics().channels == 0, "a test closes its channels"


def pair() -> tuple[socket.socket, int]:
    """One end, and the descriptor of the other."""
    here, there = socket.socketpair()
    there.setblocking(False)
    return here, there.detach()


def idle_channel(reactor: Reactor, action: object = None) -> ProbeChannel:
    """A channel whose descriptor has nothing to say for itself."""
    return ProbeChannel(reactor, os.eventfd(0, os.EFD_NONBLOCK), action)  # type: ignore[arg-type]


def turns(loop: asyncio.AbstractEventLoop, count: int = 3) -> None:
    for _ in range(count):
        loop.run_until_complete(asyncio.sleep(0.001))


def test_event_reaches_its_channel(loop: asyncio.AbstractEventLoop, reactor: Reactor) -> None:
    here, fd = pair()
    channel = ProbeChannel(reactor, fd)
    turns(loop)
    assert [kind for kind, *_ in channel.happened] == ["event"]  # writable
    here.send(b"x")
    turns(loop)
    assert [kind for kind, *_ in channel.happened] == ["event", "event"]
    turns(loop)
    assert len(channel.happened) == 2, "edge triggered: nothing is said twice"
    channel.close()
    here.close()
    assert not channel.is_open


def test_fault_of_one_channel_is_its_own(loop: asyncio.AbstractEventLoop, reactor: Reactor) -> None:
    def fails(channel: ProbeChannel) -> None:
        raise ValueError("of this one")

    pairs = [pair() for _ in range(3)]
    channels = [ProbeChannel(reactor, fd, fails if i == 1 else None) for i, (_, fd) in enumerate(pairs)]
    turns(loop)
    assert [kind for kind, *_ in channels[1].happened] == ["event", "fault"]
    assert [kind for kind, *_ in channels[0].happened] == ["event"] == [kind for kind, *_ in channels[2].happened]
    assert reactor.statistics().faults == 1
    for channel in channels:
        channel.close()
    for here, _ in pairs:
        here.close()


def test_channel_closed_by_another_in_the_same_batch_hears_nothing_more(
    loop: asyncio.AbstractEventLoop, reactor: Reactor
) -> None:
    channels: list[ProbeChannel] = []

    def closes_all(channel: ProbeChannel) -> None:
        for other in channels:
            other.close()

    pairs = [pair() for _ in range(5)]
    channels += [ProbeChannel(reactor, fd, closes_all) for _, fd in pairs]
    turns(loop)
    assert sum(len(channel.happened) for channel in channels) == 1
    assert reactor.statistics().channels == 0
    for here, _ in pairs:
        here.close()


def test_channel_freed_within_its_batch_is_not_touched_again(loop: asyncio.AbstractEventLoop, reactor: Reactor) -> None:
    """Nothing but the reactor holds them, and new ones may take their place in memory and their descriptors."""
    made: list[ProbeChannel] = []
    heres: list[socket.socket] = []

    def replace(channel: ProbeChannel) -> None:
        if len(heres) > 40:
            return
        for other in made:
            other.close()
        made.clear()
        for _ in range(2):
            here, fd = pair()
            heres.append(here)
            made.append(ProbeChannel(reactor, fd, replace))

    for _ in range(2):
        here, fd = pair()
        heres.append(here)
        made.append(ProbeChannel(reactor, fd, replace))
    turns(loop, 60)
    assert reactor.statistics().channels == len(made)
    for channel in made:
        channel.close()
    for here in heres:
        here.close()
    assert reactor.statistics().faults == 0


def test_what_was_asked_for_soon_comes_once_and_later(loop: asyncio.AbstractEventLoop, reactor: Reactor) -> None:
    channel = idle_channel(reactor)
    turns(loop)
    del channel.happened[:]
    channel.ask()
    channel.ask()
    assert channel.happened == []
    turns(loop)
    assert channel.happened == [("ready",)]
    channel.close()


def test_closed_channel_is_not_called_although_it_asked(loop: asyncio.AbstractEventLoop, reactor: Reactor) -> None:
    channel = idle_channel(reactor)
    turns(loop)
    del channel.happened[:]
    channel.ask()
    channel.close()
    turns(loop)
    assert channel.happened == []


def test_channel_that_asks_whenever_it_is_called_holds_nobody_up(
    loop: asyncio.AbstractEventLoop, reactor: Reactor
) -> None:
    channel = idle_channel(reactor, lambda channel: channel.ask())
    turns(loop, 5)  # the loop gets its turns
    assert len(channel.happened) <= reactor.statistics().batches + 1
    channel.close()


def test_clock_and_ticks(loop: asyncio.AbstractEventLoop, reactor: Reactor) -> None:
    seen: list[int] = []
    reactor.add_tick_hook(seen.append)
    reactor.add_tick_hook(lambda now_ms: 1 // 0)
    loop.set_exception_handler(lambda loop, context: None)
    before = reactor.time_ns
    loop.run_until_complete(asyncio.sleep(0.35))
    assert 2 <= len(seen) <= 4
    assert seen == sorted(seen)
    assert seen[0] >= before // 1_000_000
    assert reactor.statistics().faults == len(seen)


# -- the timer wheel ---------------------------------------------------------------------------------------------------

COUNT = 4
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, COUNT - 1), st.integers(-500, 3 * HORIZON_MS)),
        st.tuples(st.just("none"), st.integers(0, COUNT - 1)),
        st.tuples(st.just("turn"), st.integers(0, 5 * TICK_MS)),
        st.tuples(st.just("turn"), st.integers(0, 3 * HORIZON_MS)),
    ),
    max_size=30,
)


@given(moves=MOVES)
def test_deadline_fires_at_the_first_tick_that_is_not_before_it(moves: list[tuple[object, ...]]) -> None:
    loop = asyncio.new_event_loop()
    reactor = Reactor(loop)
    channels = [idle_channel(reactor) for _ in range(COUNT)]
    wanted: dict[int, int] = {}  # channel → the tick at which it fires
    now = wheel_ms(reactor)
    try:
        for kind, *values in moves:
            at = wheel_ms(reactor)
            if kind == "set":
                index, delta = int(str(values[0])), int(str(values[1]))
                deadline = max(1, now + delta)
                channels[index].deadline(deadline)
                first = max(deadline, at + 1)
                wanted[index] = -(-first // TICK_MS) * TICK_MS
            elif kind == "none":
                channels[int(str(values[0]))].deadline(0)
                wanted.pop(int(str(values[0])), None)
            else:
                now += int(str(values[0]))
                turn(reactor, now)
                due = {index for index, tick in wanted.items() if tick <= now // TICK_MS * TICK_MS}
                fired = {index for index, channel in enumerate(channels) if channel.happened}
                assert fired == due
                for index in fired:
                    assert channels[index].happened == [("deadline",)]
                    del channels[index].happened[:]
                    del wanted[index]
    finally:
        for channel in channels:
            channel.close()
        reactor.close()
        loop.close()


def test_deadline_may_set_and_drop_others_of_the_same_tick(reactor: Reactor) -> None:
    channels: list[ProbeChannel] = []
    now = wheel_ms(reactor) // TICK_MS * TICK_MS + 10 * TICK_MS

    def meddle(channel: ProbeChannel) -> None:
        for other in channels:
            if other is not channel:
                other.close() if channels.index(other) % 2 else other.deadline(now + 5 * TICK_MS)
        channel.deadline(now + 5 * TICK_MS)

    channels += [idle_channel(reactor, meddle if i == 0 else None) for i in range(6)]
    for channel in channels:
        channel.deadline(now)
    turn(reactor, now)
    assert [len(channel.happened) for channel in channels] == [1, 0, 0, 0, 0, 0]
    turn(reactor, now + 5 * TICK_MS)
    assert [len(channel.happened) for channel in channels] == [2, 0, 1, 0, 1, 0]
    for channel in channels:
        channel.close()


def test_fault_at_a_deadline_is_its_channels_own(reactor: Reactor) -> None:
    def fails(channel: ProbeChannel) -> None:
        raise ValueError("at the deadline")

    channels = [idle_channel(reactor, fails), idle_channel(reactor)]
    now = wheel_ms(reactor) + 10 * TICK_MS
    for channel in channels:
        channel.deadline(now)
    turn(reactor, now + TICK_MS)
    assert [kind for kind, *_ in channels[0].happened] == ["deadline", "fault"]
    assert channels[1].happened == [("deadline",)]
    for channel in channels:
        channel.close()


def test_closed_channel_has_no_deadline(reactor: Reactor) -> None:
    channel = idle_channel(reactor)
    now = wheel_ms(reactor) + 10 * TICK_MS
    channel.deadline(now)
    channel.close()
    channel.deadline(now)
    turn(reactor, now + TICK_MS)
    assert channel.happened == []
