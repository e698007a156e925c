import os
import socket
from types import SimpleNamespace

import msgspec
import pytest

from tidegate.observe.blocked_time import BlockedTime
from tidegate.process.measurement_relay import answer, forward
from tidegate.process.messages import Measure, MeasureAsked, read_memory_file


class Channel:
    def __init__(self):
        self.sent = []

    def send(self, message):
        # The receiver's descriptor is another one.
        self.sent.append(msgspec.structs.replace(message, fd=os.dup(message.fd)))
        return True


def place(seat, channel):
    return SimpleNamespace(seat=seat, child=None if channel is None else SimpleNamespace(channel=channel))


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(30)
    with ours:
        yield ours, theirs.detach()


def received(ours):
    packet, fds, *_ = socket.recv_fds(ours, 1, 1)
    if not packet:
        return None
    (fd,) = fds
    try:
        return msgspec.json.decode(read_memory_file(fd))
    finally:
        os.close(fd)


def test_it_goes_to_the_worker_that_is_meant(ends):
    ours, fd = ends
    first, second = Channel(), Channel()
    workers = SimpleNamespace(places=[place(0, first), place(1, second)])
    forward(MeasureAsked(kind="heap", worker=1, seconds=3.0, fd=fd), workers, BlockedTime())
    assert first.sent == []
    (order,) = second.sent
    assert isinstance(order, Measure) and (order.kind, order.seconds) == ("heap", 3.0)
    answer(order.fd, {"a": 1})
    os.close(order.fd)
    assert received(ours) == {"a": 1}
    assert received(ours) is None, "the supervisor has closed its own"


def test_held_loops_are_answered_by_the_supervisor(ends):
    ours, fd = ends
    blocked = BlockedTime()
    blocked.add(1, [], "(nobody)", 7)
    forward(MeasureAsked(kind="blocked", fd=fd), SimpleNamespace(places=[]), blocked)
    assert received(ours) == {"stacks": [{"worker": 1, "calls": ["(nobody)"], "held_ns": 7, "times": 1}]}


def test_a_worker_that_is_not_there_is_an_end_without_an_answer(ends):
    ours, fd = ends
    forward(MeasureAsked(kind="heap", worker=0, fd=fd), SimpleNamespace(places=[place(0, None)]), BlockedTime())
    assert received(ours) is None


def test_nobody_who_waits_and_no_descriptor_are_no_error(ends):
    ours, fd = ends
    ours.close()
    answer(fd, {"a": 1})
    os.close(fd)
    forward(MeasureAsked(kind="heap"), SimpleNamespace(places=[]), BlockedTime())
