"""All or none: the model of the switch, and the attempt itself with workers played by the test."""

import os
import signal
import subprocess

import pytest
from tests.process.gateway import stop_signal
from tests.process.publication_model import FLAWS, Model, search

from tidegate.memory.region import Region
from tidegate.process.channel import Channel, channel_pair
from tidegate.process.messages import Forget, Prepare, SupervisorMessage, WorkerMessage, memory_file
from tidegate.process.place import WorkerPlace
from tidegate.process.publication import DEADLINE_S, Publication


@pytest.mark.parametrize(
    "bounds",
    [
        {"attempts": 1, "deaths": 3},
        {"attempts": 2, "deaths": 1},
        {"attempts": 2, "deaths": 2, "may_refuse": False},
    ],
)
def test_every_order_of_events_ends_with_one_snapshot_on_all_that_serve(bounds):
    states, violation, answers = search(Model(**bounds))
    assert violation == ""
    assert states > 10_000
    assert {"published", "late", "nobody"} <= {one for several in answers for one in several}


@pytest.mark.parametrize("flaw", FLAWS)
def test_each_rule_is_needed(flaw):
    assert search(Model(attempts=2, deaths=1, flaw=flaw))[1] != ""


class Played:
    """A process to be pointed at, and the worker's end of its channel."""

    def __init__(self):
        self.process = subprocess.Popen(["sleep", "600"])
        self.pid = self.process.pid
        ours, theirs = channel_pair()
        self.channel = Channel(ours, SupervisorMessage)
        self.worker = Channel(theirs, WorkerMessage)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.channel.close()
        self.worker.close()


@pytest.fixture
def places():
    region = Region.create(2)
    found = []
    for index in range(2):
        place = WorkerPlace(f"worker {index}", slot=region.slot(index), seat=index)
        place.fill(Played())
        place.is_told_to_serve, place.prepared = True, 1
        found.append(place)
    players = [place.child for place in found]
    yield found
    for player in players:
        player.end()
    region.close()


@pytest.fixture
def attempt(places):
    fd = memory_file("snapshot", b"{}")
    yield Publication(2, fd, places, now_s=100.0)
    os.close(fd)


def test_is_decided_when_the_last_one_has_prepared(attempt, places):
    for place in places:
        assert attempt.verdict(100.0) is None
        prepare = place.child.worker.receive()
        assert isinstance(prepare, Prepare) and prepare.number == 2
        os.close(prepare.fd)
        place.prepared = 2
    assert attempt.verdict(100.0) == []


def test_refusal_ends_it_with_its_reason_and_all_forget(attempt, places):
    attempt.refused(places[1], "no room")
    assert attempt.verdict(100.0) == ["worker 1: no room"]
    attempt.withdraw()
    for place in places:
        os.close(place.child.worker.receive().fd)
        assert place.child.worker.receive() == Forget(number=2)


def test_the_dead_are_no_obstacle(attempt, places):
    places[0].prepared = 2
    places[1].vacate("killed")
    assert attempt.verdict(100.0) == []


def test_successor_is_told_and_waited_for_once_it_serves(attempt, places):
    places[0].prepared = 2
    player = places[1].child
    places[1].vacate("killed")
    places[1].fill(player)
    os.close(player.worker.receive().fd)
    attempt.propose_to(places[1])
    os.close(player.worker.receive().fd)
    assert attempt.verdict(100.0) == []
    places[1].is_told_to_serve, places[1].prepared = True, 1
    assert attempt.verdict(100.0) is None


def test_stopped_worker_fails_it_by_name(attempt, places):
    places[0].prepared = 2
    stop_signal(places[1].child.pid)
    assert attempt.verdict(100.0 + DEADLINE_S - 0.1) is None
    (reason,) = attempt.verdict(100.0 + DEADLINE_S)
    assert reason.startswith(f"worker 1 has neither prepared it nor ended (pid {places[1].child.pid}, stopped)")
    os.kill(places[1].child.pid, signal.SIGCONT)


def test_worker_that_reads_nothing_fails_it_at_once(places):
    while places[1].child.channel.send(Forget(number=1)):
        pass
    fd = memory_file("snapshot", b"{}")
    (reason,) = Publication(2, fd, places, now_s=100.0).verdict(100.0)
    os.close(fd)
    assert reason.startswith("worker 1 does not listen")


def test_repr_says_who_is_waited_for(attempt, places):
    places[0].prepared = 2
    assert repr(attempt) == "<Publication 2 waits for ['worker 1']>"
