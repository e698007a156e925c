import os

import msgspec
import pytest

from tidegate.process.handover import (
    FORMAT,
    GroupState,
    Handover,
    HoldingsState,
    PlaceState,
    WorkforceState,
    read_handover,
)
from tidegate.process.messages import Companion, SupervisorOrder, memory_file
from tidegate.process.program import Program


@pytest.fixture
def handover():
    program = Program("/usr/bin/python3", ["/lib"])
    workers = [PlaceState("worker 0", pid=5, channel_fd=10, stacks_fd=23), PlaceState("worker 1")]
    return Handover(
        order=SupervisorOrder(11, "/run/x", [], companions=[Companion("demo", ["demo"], [12])]),
        started_ns=1,
        ends_with_terminal=False,
        holdings=HoldingsState(
            groups=[GroupState("127.0.0.1:1", [13, 14], 2)],
            region_fd=15,
            bell_fds=[16],
            admin=GroupState("127.0.0.1:2", [17], 1),
            kept_fds=[18],
            state_lock_fd=24,
        ),
        workers=WorkforceState(2, workers, 1, 19, 1),
        retired=[WorkforceState(1, [PlaceState("worker 0", pid=6, channel_fd=20)], 1, 21, 1, True, float("inf"))],
        companions=[PlaceState("demo", pid=7)],
        program=program,
        previous=program,
        control=PlaceState("control", pid=8, channel_fd=22),
    )


def test_it_reads_back_as_it_was_written(handover):
    assert read_handover(handover.in_memory()) == handover


def test_every_descriptor_is_named_once(handover):
    assert handover.fds() == [10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]


def test_another_format_is_refused_by_number(handover):
    newer = {**msgspec.to_builtins(handover), "format": FORMAT + 1, "workers": "otherwise"}
    with pytest.raises(ValueError, match=f"format {FORMAT + 1}, this program reads {FORMAT}"):
        read_handover(memory_file("handover", msgspec.msgpack.encode(newer)))


def test_what_a_later_version_adds_is_no_obstacle(handover):
    fd = memory_file("handover", msgspec.msgpack.encode({**msgspec.to_builtins(handover), "moon": "full"}))
    assert read_handover(fd) == handover
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
