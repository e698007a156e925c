"""The driver of a load against real servers: what is due, what is sent, what is counted."""

import socket
import threading
import time
from pathlib import Path

import pytest
from tests.bench.driving import GET, PATIENCE_S, Drive, evenly
from tests.plane.harness import REFUSING
from tests.plane.serving import OK, Serving, answering

from tidegate.bench.load import Load
from tidegate.bench.loop import Loop
from tidegate.bench.requests import Requests
from tidegate.bench.schedule import Schedule
from tidegate.bench.tally import Tally
from tidegate.upstream.peer import Peer

TEAPOT = b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n"
OTHER = b"GET /other HTTP/1.1\r\nHost: server.test\r\n\r\n"


def counting(seen, answer=OK):
    def handle(peer, line, fields, body):
        seen.append(line)
        peer.send(TEAPOT if "/other" in line else answer)

    return handle


def test_closed_loop_counts_every_answer_by_its_status():
    seen = []
    with Serving(counting(seen)) as server:
        drive = Drive(server.address, [GET, GET, OTHER], clients=4, seconds=0.3)
    assert (drive.opened, drive.errors, drive.unfinished) == ((4, 0), {}, 0)
    assert sum(drive.answers.values()) == len(seen) == drive.tally.sent == drive.tally.due > 0
    assert drive.answers[418] == sum("/other" in line for line in seen)
    assert set(drive.answers) == {200, 418}
    assert drive.seconds == pytest.approx(0.3)


def test_open_loop_sends_what_is_due_however_slow_the_machine():
    seen = []
    with Serving(counting(seen)) as server:
        drive = Drive(server.address, schedule=evenly(200, 0.5), clients=3)
    assert drive.answers == {200: 100}
    assert (drive.tally.due, len(seen), drive.unfinished) == (100, 100, 0)
    assert drive.tally.waited + drive.tally.late.total == 100
    assert sum(second.due for second in drive.tally.seconds) == 100
    assert sum(second.answers.get("2xx", 0) for second in drive.tally.seconds) == 100


def test_latency_counts_from_when_it_was_due_and_the_service_time_does_not():
    """One client, and a server that stands still while all the others become due."""
    began, ended = [], []

    def handle(peer, line, fields, body):
        if not began:
            began.append(time.monotonic_ns())
            time.sleep(0.4)
            ended.append(time.monotonic_ns())
        peer.send(OK)

    with Serving(handle) as server:
        drive = Drive(server.address, schedule=evenly(100, 0.3), start_ns=time.monotonic_ns() + 50_000_000)
        over_ns = time.monotonic_ns()
    start_ns = drive.load.start_ns
    assert drive.answers == {200: 30}
    (outcome,) = drive.tally.outcomes
    # Nothing was answered before the server went on.
    owed = sorted(ended[0] - start_ns - number * 10_000_000 for number in range(30))
    told = [bucket.highest for bucket in outcome.latency.buckets() for _ in range(bucket.times)]
    assert all(latency >= least for latency, least in zip(told, owed, strict=True))
    # One at a time: together they cannot have been served for longer than it all took, by three digits.
    assert outcome.service.mean * 30 <= (over_ns - start_ns) * 1.001
    assert outcome.service.most >= 400_000_000
    assert outcome.latency.mean * 30 >= sum(owed) * 0.999


def test_what_warms_up_is_in_the_seconds_and_not_in_the_sums():
    with Serving(answering()) as server:
        drive = Drive(server.address, schedule=evenly(100, 0.5), clients=2, warm_up_s=0.2)
    assert (drive.tally.due, drive.answers) == (30, {200: 30})
    assert sum(second.due for second in drive.tally.seconds) == 50
    assert drive.tally.seconds[0].at in (-1, 0)  # 0: nothing came to run for as long as it warmed up
    assert drive.seconds == pytest.approx(0.3)


def test_fresh_connections_are_one_an_exchange():
    with Serving(answering()) as server:
        drive = Drive(server.address, schedule=evenly(100, 0.3), clients=5, is_fresh=True)
        assert server.accepted == 30
    assert drive.answers == {200: 30}
    assert drive.tally.connect.total == 30
    assert drive.errors == {}


def test_clients_take_turns():
    with Serving(answering()) as server:
        Drive(server.address, schedule=evenly(100, 0.1), clients=10)
        assert server.accepted == 10


def test_connection_that_was_closed_while_idle_is_dialled_anew_and_no_error():
    def handle(peer, line, fields, body):
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # the answer and the end are one segment
        peer.send(OK)
        return True  # closes, without having said so

    with Serving(handle) as server:
        drive = Drive(server.address, schedule=Schedule([(0.001, 1000, 1000), (1.0, 0, 0), (0.001, 1000, 1000)]))
        assert server.accepted == 2
    assert (drive.answers, drive.errors, drive.tally.lost) == ({200: 2}, {}, 2)


@pytest.mark.parametrize("is_open_loop", [True, False])
def test_refused_connections_are_errors_of_that_kind(is_open_loop):
    schedule = evenly(100, 0.2) if is_open_loop else None
    drive = Drive(REFUSING, schedule=schedule, clients=3, seconds=0.2)
    assert drive.opened == (0, 3)
    assert drive.load.trouble == ("connection_refused", "Connection refused")
    assert drive.answers == {}
    assert set(drive.errors) == {"connection_refused"}
    if is_open_loop:
        assert drive.errors["connection_refused"] == 20
    assert drive.unfinished == 0


def test_patience_ends_for_what_is_sent_and_for_what_never_was():
    release = threading.Event()

    def handle(peer, line, fields, body):
        release.wait(PATIENCE_S)
        return True

    with Serving(handle) as server:
        drive = Drive(server.address, schedule=evenly(100, 0.05), patience_s=0.3)
        release.set()
    assert drive.answers == {}
    assert drive.tally.due == 5
    assert sum(drive.errors.values()) == 5
    assert set(drive.errors) <= {"http_response_timeout", "not_sent"}
    assert drive.errors["http_response_timeout"] >= 1
    assert drive.tally.unsent == drive.errors.get("not_sent", 0)


def test_a_load_that_is_stopped_tells_what_is_unfinished():
    release = threading.Event()
    seen = threading.Event()

    def handle(peer, line, fields, body):
        seen.set()
        release.wait(PATIENCE_S)
        return True

    with Serving(handle) as server:
        drive = Drive(server.address, schedule=evenly(10, 600), clients=2, is_to_stop=seen.is_set)
        release.set()
    assert drive.load.stopped_ns
    assert drive.seconds < 600
    assert drive.unfinished == drive.tally.due >= 1
    assert (drive.answers, drive.errors) == ({}, {})


def test_seconds_are_told_as_they_end():
    told = []
    with Serving(answering()) as server:
        drive = Drive(server.address, clients=1, seconds=1.1, tally=Tally(on_second=told.append))
    assert drive.tally.seconds == []  # who is told of them keeps them, or does not
    assert [second.at for second in told] == sorted({second.at for second in told})
    assert sum(second.latency.total for second in told) == drive.answers[200]


def test_unix_socket(tmp_path: Path):
    with Serving(answering(), path=str(tmp_path / "s")) as server:
        drive = Drive(server.address, schedule=evenly(100, 0.1), clients=2)
    assert drive.answers == {200: 10}


def test_no_load_is_made_of_no_clients():
    loop = Loop()
    with pytest.raises(ValueError, match="at least one client"):
        Load(loop, Peer("127.0.0.1", 1), Requests([GET]), None, clients=0, patience_s=1)
    load = Load(loop, Peer("127.0.0.1", 1), Requests([GET]), None, clients=2, patience_s=1)
    assert repr(load) == "<Load closed loop: 2 clients, 0 busy, 0 waiting>"
    with pytest.raises(RuntimeError, match="made once"):
        load.__init__(loop, Peer("127.0.0.1", 1), Requests([GET]), None, clients=2, patience_s=1)
    load.close()
    loop.close()
