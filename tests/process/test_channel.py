import os
import resource
from pathlib import Path

import pytest

from tidegate.process.channel import Channel, ChannelClosed, channel_pair
from tidegate.process.messages import (
    Drain,
    Forget,
    Prepare,
    Prepared,
    Serve,
    SupervisorMessage,
    WorkerMessage,
    memory_file,
    read_memory_file,
)


@pytest.fixture
def ends():
    ours, theirs = channel_pair()
    supervisor, worker = Channel(ours, SupervisorMessage), Channel(theirs, WorkerMessage)
    yield supervisor, worker
    supervisor.close()
    worker.close()


def test_messages_arrive_whole_and_in_order(ends):
    supervisor, worker = ends
    assert supervisor.send(Serve())
    assert supervisor.send(Drain(timeout_s=2.5))
    assert worker.receive() == Serve()
    assert worker.receive() == Drain(timeout_s=2.5)
    assert worker.receive() is None


def test_last_words_are_read_before_the_end(ends):
    supervisor, worker = ends
    worker.send(Prepared(snapshot=3))
    worker.close()
    assert supervisor.receive() == Prepared(snapshot=3)
    with pytest.raises(ChannelClosed):
        supervisor.receive()


def test_last_words_are_read_although_the_dead_had_unread_messages(ends):
    supervisor, worker = ends
    supervisor.send(Serve())
    worker.send(Prepared(snapshot=3))
    worker.close()
    assert supervisor.receive() == Prepared(snapshot=3)
    with pytest.raises(ChannelClosed):
        supervisor.receive()


def test_a_reader_that_stands_still_holds_up_nobody(ends):
    supervisor, _ = ends
    sent = 0
    while supervisor.send(Serve()):
        sent += 1
        assert sent < 1_000_000
    assert sent > 1


def test_sending_to_the_dead_says_no(ends):
    supervisor, worker = ends
    worker.close()
    assert supervisor.send(Serve()) is False


def test_inherited_end_is_not_passed_on(ends):
    ours, theirs = channel_pair()
    os.set_inheritable(theirs.fileno(), True)
    inherited = Channel.inherited(theirs.detach(), WorkerMessage)
    assert not os.get_inheritable(inherited.fileno())
    inherited.close()
    ours.close()


def open_descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_descriptor_travels_with_its_message(ends):
    supervisor, worker = ends
    fd = memory_file("snapshot", b"tide")
    supervisor.send(Serve())
    assert supervisor.send(Prepare(number=2, fd=fd))
    supervisor.send(Forget(number=2))
    os.close(fd)
    assert worker.receive() == Serve()
    prepare = worker.receive()
    assert prepare.number == 2
    assert read_memory_file(prepare.fd) == b"tide"
    assert not os.get_inheritable(prepare.fd)
    os.close(prepare.fd)
    assert worker.receive() == Forget(number=2)


def test_no_descriptor_is_left_behind(ends):
    supervisor, worker = ends
    fd = memory_file("snapshot", b"tide")
    before = open_descriptors()
    for number in range(10):
        supervisor.send(Prepare(number=number, fd=fd))
        os.close(worker.receive().fd)
    assert open_descriptors() == before
    os.close(fd)


def test_message_without_its_descriptor_says_so(ends):
    supervisor, worker = ends
    supervisor.send(Prepare(number=2))
    assert worker.receive() == Prepare(number=2, fd=-1)


def test_message_arrives_although_there_is_no_room_for_its_descriptor(ends):
    supervisor, worker = ends
    fd = memory_file("snapshot", b"tide")
    supervisor.send(Prepare(number=2, fd=fd))
    supervisor.send(Serve())
    os.close(fd)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        assert worker.receive() == Prepare(number=2, fd=-1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert worker.receive() == Serve()
