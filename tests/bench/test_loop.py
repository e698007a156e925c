"""The least of an event loop: what a reactor asks of it, in the right order and not before its time."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tidegate.bench.loop import Loop, fine_timers
from tidegate.net.reactor import Reactor


@pytest.fixture
def loop():
    made = Loop()
    yield made
    made.close()


def test_timers_run_in_the_order_of_their_moments_and_not_before(loop):
    said = []
    began_ns = time.monotonic_ns()
    for delay_s in (0.03, 0.01, 0.02, 0.01):
        loop.call_later(delay_s, lambda delay_s: said.append((delay_s, time.monotonic_ns() - began_ns)), delay_s)
    cancelled = loop.call_later(0.015, said.append, "cancelled")
    cancelled.cancel()
    while len(said) < 4:
        loop.run_for(0.01)
    assert [delay_s for delay_s, _ in said] == [0.01, 0.01, 0.02, 0.03]
    assert all(after_ns >= delay_s * 1e9 for delay_s, after_ns in said)


def test_a_call_that_calls_again_is_called_in_the_next_turn(loop):
    said = []

    def again(left):
        said.append(left)
        if left:
            loop.call_soon(again, left - 1)

    loop.call_soon(again, 3)
    while len(said) < 4:
        loop.run_for(0.001)
    assert said == [3, 2, 1, 0]


def test_its_reactor_ticks(loop):
    ticks = []
    loop.reactor.add_tick_hook(ticks.append)
    deadline = time.monotonic() + 30
    while len(ticks) < 3 and time.monotonic() < deadline:
        loop.run_for(0.05)
    assert ticks == sorted(ticks)
    assert len(ticks) >= 3


def test_a_reactor_is_its_only_reader(loop):
    assert isinstance(loop.reactor, Reactor)
    assert loop.remove_reader(loop.reactor.epoll_fd)
    assert not loop.remove_reader(loop.reactor.epoll_fd)


def test_a_wait_is_ended_by_a_signal_whose_handler_may_raise(loop):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR2, interrupt)
    try:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR2))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            loop.run_for(60)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_what_fails_is_kept(loop):
    loop.call_exception_handler({"message": "failed"})
    assert loop.faults == [{"message": "failed"}]


def test_fine_timers_can_be_asked_for():
    told = []

    def ask():  # the slack is the thread's own
        fine_timers()
        told.append(Path(f"/proc/{threading.get_native_id()}/timerslack_ns").read_text())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert told == ["1\n"]


def test_it_is_gone_without_a_trace():
    def descriptors():
        return sum(
            "eventpoll" in str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()
        )

    before = descriptors()
    for _ in range(5):
        made = Loop()
        made.run_for(0.001)
        made.close()
        del made
    assert descriptors() == before
