"""The slot plan under a chaos script: workers stopped, killed and replaced, and nobody reset who waits in a socket.

The workers are echoes; everything else is what the supervisor runs.
"""

import contextlib
import os
import selectors
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.process.gateway import DEADLINE_S, eventually, stop_signal

from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region, read_meters
from tidegate.memory.slot import SlotState
from tidegate.process.channel import ChannelClosed
from tidegate.process.listeners import open_listeners
from tidegate.process.messages import memory_file
from tidegate.process.program import Program
from tidegate.process.respawn import Respawn
from tidegate.process.workforce import Workforce

SLOTS = 3


class Chaos:
    """A workforce with the least loop around it: hears messages, reaps, starts successors."""

    def __init__(self, workforce, groups):
        self.workforce = workforce
        self.group = groups[0]
        host, _, port = self.group.address.rpartition(":")
        self.address = (host, int(port))

    def pump(self, timeout_s=0.01):
        now_s = time.monotonic()
        for place in self.workforce.places:
            if place.child is None and place.start_at_s is not None and now_s >= place.start_at_s:
                self.workforce.start(place)
        with selectors.DefaultSelector() as selector:
            for place in self.workforce.places:
                if place.child is not None:
                    selector.register(place.child.pidfd, selectors.EVENT_READ, (place, True))
                    if place.child.channel is not None:
                        selector.register(place.child.channel, selectors.EVENT_READ, (place, False))
            events = sorted((key.data for key, _ in selector.select(timeout_s)), key=lambda data: data[1])
        for place, is_dead in events:
            if is_dead:
                self.workforce.died(place, place.child.reap())
                continue
            try:
                while (message := place.child.channel.receive()) is not None:
                    self.workforce.heard(place, message)
            except ChannelClosed:
                place.child.channel.close()
                place.child.channel = None

    def until(self, condition, what):
        end = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end, f"not in time: {what}"
            self.pump()

    def until_live(self, slots=range(SLOTS)):
        self.until(lambda: self.workforce.live == list(slots), f"slots {list(slots)} are live")

    def connect(self, stack, count):
        return [stack.enter_context(socket.create_connection(self.address, timeout=DEADLINE_S)) for _ in range(count)]

    def waits_in(self, slot):
        return self.group.queued(slot)

    def pid(self, slot):
        return self.workforce.places[slot].child.pid


@pytest.fixture
def chaos():
    gateway = Gateway(listeners=(Listener(bind="127.0.0.1:0"),))
    snapshot_fd = memory_file("snapshot", Snapshot.build(gateway, number=7).encode())
    groups = open_listeners(gateway.listeners, SLOTS)
    region = Region.create(SLOTS)
    said = []

    def say(kind, message, level="warning", **fields):
        said.append(kind)

    service = "tests.process.echo_service:EchoService"
    workforce = Workforce(region, groups, program=Program.running(sys.path), service=service, say=say)
    workforce.use_snapshot(7, snapshot_fd)
    one = Chaos(workforce, groups)
    one.region = region
    try:
        yield one
        assert said == []
    finally:
        workforce.kill()
        one.until(lambda: workforce.is_gone, "all workers are gone")
        for group in groups:
            group.close()
        region.close()
        os.close(snapshot_fd)


def greeting(connection):
    """Slot and pid of the worker that accepted."""
    with connection.makefile("rb") as lines:
        line = lines.readline()
    assert line.endswith(b"\n"), f"cut off after {line!r}"
    slot, pid = line.split()
    return int(slot), int(pid)


def test_the_switch_is_stored_when_all_first_workers_have_prepared(chaos):
    assert chaos.region.snapshot_number == 0
    chaos.until_live()
    assert chaos.region.snapshot_number == 7
    for place in chaos.workforce.places:
        eventually(lambda place=place: place.slot.state is SlotState.READY, "the worker serves")
        assert place.slot.prepared == 7
        assert place.slot.pid == place.child.pid


def test_every_worker_has_the_bells_of_all(chaos):
    def bells(pid):
        lines = [Path(f"/proc/{pid}/fdinfo/{fd}").read_text().splitlines() for fd in chaos.region.bell_fds]
        return [line for one in lines for line in one if line.startswith("eventfd-id")]

    chaos.until_live()
    assert len(bells(os.getpid())) == SLOTS
    for slot in range(SLOTS):
        assert bells(chaos.pid(slot)) == bells(os.getpid())


def test_stopped_worker_is_steered_around_and_answers_its_queue_when_it_goes_on(chaos):
    chaos.until_live()
    for _ in range(3):
        with contextlib.ExitStack() as stack:
            stopped = chaos.pid(1)
            stop_signal(stopped)
            before = chaos.connect(stack, 60)
            queued = chaos.waits_in(1)
            assert queued >= 5
            chaos.workforce.measure_queues()
            assert chaos.workforce.places[1].slot.queued == queued
            chaos.workforce.steer_around(chaos.workforce.places[1], is_out=True)
            after = chaos.connect(stack, 60)
            assert {greeting(one)[0] for one in after} == {0, 2}
            assert chaos.waits_in(1) == queued
            os.kill(stopped, signal.SIGCONT)
            chaos.workforce.steer_around(chaos.workforce.places[1], is_out=False)
            served = [greeting(one) for one in before]
            assert sum(pid == stopped for _, pid in served) == queued
            assert chaos.workforce.live == [0, 1, 2]


def test_successor_of_a_killed_worker_serves_what_waited_in_its_socket(chaos):
    chaos.until_live()
    for _ in range(3):
        with contextlib.ExitStack() as stack:
            held = chaos.connect(stack, 60)
            holders = [greeting(one) for one in held]
            victim = chaos.pid(1)
            stop_signal(victim)
            waiting = chaos.connect(stack, 60)
            queued = chaos.waits_in(1)
            assert queued >= 5
            os.kill(victim, signal.SIGKILL)
            chaos.until(lambda: chaos.workforce.places[1].child is None, "the death is noticed")
            assert chaos.workforce.live == [0, 2]
            assert {greeting(one)[0] for one in chaos.connect(stack, 30)} == {0, 2}
            chaos.until_live()
            served = [greeting(one) for one in waiting]
            assert sum(pid == chaos.pid(1) for _, pid in served) == queued
            assert victim not in {pid for _, pid in served}
            # Only the dead worker's own connections are gone.
            for one, (_, pid) in zip(held, holders, strict=True):
                if pid == victim:
                    assert one.recv(1) == b""
                else:
                    one.sendall(b"still there\n")
                    assert one.recv(100) == b"still there\n"


class Load(threading.Thread):
    """Short connections without pause; keeps what went wrong."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address = address
        self.served = 0
        self.cut_after_greeting = []
        self.cut_before_greeting = []
        self.should_end = threading.Event()

    def run(self):
        while not self.should_end.wait(0.005):
            accepted_by = None
            try:
                with socket.create_connection(self.address, timeout=DEADLINE_S) as one:
                    accepted_by = greeting(one)[1]
                    one.sendall(b"tide\n")
                    assert one.recv(100) == b"tide\n"
                    self.served += 1
            except (OSError, AssertionError) as error:
                (self.cut_after_greeting if accepted_by else self.cut_before_greeting).append((accepted_by, error))


@pytest.mark.slow
def test_under_load_nobody_fails_but_who_was_with_the_killed_worker(chaos):
    chaos.until_live()
    loads = [Load(chaos.address) for _ in range(3)]
    for load in loads:
        load.start()
    killed = []
    try:
        for round_number in range(8):
            slot = round_number % SLOTS
            victim = chaos.pid(slot)
            stop_signal(victim)
            if round_number % 4 == 3:  # stopped only
                chaos.workforce.steer_around(chaos.workforce.places[slot], is_out=True)
                chaos.until(lambda: True, "the loads go on")
                os.kill(victim, signal.SIGCONT)
                chaos.workforce.steer_around(chaos.workforce.places[slot], is_out=False)
            else:
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)
                # The guard against crash loops is not what is looked at here.
                chaos.workforce.places[slot].respawn = Respawn()
                chaos.until(lambda slot=slot: chaos.workforce.live != [0, 1, 2], "the death is noticed")
            chaos.until_live()
            served = [load.served for load in loads]
            chaos.until(
                lambda served=served: all(load.served > old for load, old in zip(loads, served, strict=True)),
                "every client is served on",
            )
    finally:
        for load in loads:
            load.should_end.set()
        for load in loads:
            load.join(DEADLINE_S)
    assert not any(load.is_alive() for load in loads)
    after = [who for load in loads for who, _ in load.cut_after_greeting]
    assert set(after) <= set(killed)
    # A worker greets one connection at a time: at most that one was accepted and not yet greeted when it was stopped.
    before = [error for load in loads for _, error in load.cut_before_greeting]
    assert len(before) <= len(killed), before
    assert len(after) + len(before) <= len(killed) * len(loads)


def test_drain_finishes_what_was_accepted_or_waited_and_lets_nobody_new_in(chaos):
    chaos.until_live()
    with contextlib.ExitStack() as stack:
        held = chaos.connect(stack, 10)
        for one in held:
            greeting(one)
        stopped = chaos.pid(0)
        stop_signal(stopped)
        waiting = chaos.connect(stack, 30)
        assert chaos.waits_in(0) >= 3
        chaos.workforce.drain(10.0)
        os.kill(stopped, signal.SIGCONT)
        chaos.until(lambda: not chaos.workforce.is_listening, "nobody listens any more")
        chaos.group.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(chaos.address, timeout=DEADLINE_S)
        for one in waiting:
            greeting(one)
        for one in held + waiting:
            one.sendall(b"last words\n")
            assert one.recv(100) == b"last words\n"
            assert one.recv(100) == b""
        chaos.until(lambda: chaos.workforce.is_gone, "all workers are gone")


def test_a_worker_that_never_prepares_is_overdue(chaos):
    for place in chaos.workforce.places:
        chaos.workforce.start(place)
    assert chaos.workforce.overdue(time.monotonic() + 59) == []
    assert chaos.workforce.overdue(time.monotonic() + 61) == chaos.workforce.places
    chaos.until_live()
    assert chaos.workforce.overdue(time.monotonic() + 61) == []


def test_dead_workers_gauges_are_given_back(chaos):
    chaos.until_live()
    place = chaos.workforce.places[2]
    meters = place.slot.take_meters()
    meters.set("connections_open", 200)
    meters.count("exchanges_started", 5)
    os.kill(place.child.pid, signal.SIGKILL)
    chaos.until(lambda: place.child is None, "the death is noticed")
    counters = read_meters(chaos.region, 2).counters
    assert counters["connections_open"] == 0
    assert counters["exchanges_started"] == 5
    assert place.slot.state is SlotState.DEAD
