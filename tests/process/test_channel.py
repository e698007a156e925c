import os

import pytest

from tidegate.process.channel import Channel, ChannelClosed, channel_pair
from tidegate.process.messages import Drain, Prepared, Serve, SupervisorMessage, WorkerMessage


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
