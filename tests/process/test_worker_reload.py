"""A worker process that is given other snapshots while it serves, played to by the test in the supervisor's place."""

import contextlib
import os
import socket
import subprocess
import sys
import time

import msgspec
import psutil
import pytest
from tests.plane.harness import Peer
from tests.process.gateway import eventually

from tidegate.config.check import check_text
from tidegate.memory.region import Region, read_meters
from tidegate.process.channel import Channel, channel_pair
from tidegate.process.messages import (
    Drain,
    Forget,
    InheritedListener,
    ListeningEnded,
    Prepare,
    Prepared,
    Refused,
    Serve,
    Serving,
    SupervisorMessage,
    WorkerOrder,
    memory_file,
)

pytestmark = pytest.mark.e2e

HERE = '[[routes]]\nname = "here"\nrespond = {{ body = "{}" }}\n'
DEADLINE_S = 60.0


class RunningWorker:
    """The process, its channel and its memory."""

    def __init__(self, text):
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.listening.setblocking(False)
        self.port = self.listening.getsockname()[1]
        self.region = Region.create(1)
        self.number = 0
        ours, theirs = channel_pair()
        self.channel = Channel(ours, SupervisorMessage)
        snapshot_fd = self.file_of(text)
        order = WorkerOrder(
            slot=0,
            channel_fd=theirs.fileno(),
            region_fd=self.region.fd,
            snapshot_fd=snapshot_fd,
            listeners=[InheritedListener(index=0, fd=self.listening.fileno())],
            python_path=sys.path,
            service="tidegate.edge.server:Server",
            bell_fds=self.region.bell_fds,
        )
        fds = [theirs.fileno(), *self.region.descriptors, snapshot_fd, self.listening.fileno()]
        slot = self.region.slot(0)
        slot.claim(0, 1, time.monotonic_ns())
        order_fd = memory_file("order", msgspec.json.encode(order))
        argv = [sys.executable, "-P", "-m", "tidegate.process.worker", str(order_fd)]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=[order_fd, *fds])
        slot.pid = self.process.pid
        theirs.close()
        os.close(snapshot_fd)
        os.close(order_fd)

    def file_of(self, text, *, listener=""):
        """The memory file of the next snapshot."""
        self.number += 1
        whole = f'[[listeners]]\nbind = "127.0.0.1:{self.port}"\n{listener}\n{text}'
        snapshot, findings = check_text(whole, number=self.number)
        assert snapshot is not None, list(map(str, findings))
        return memory_file("snapshot", snapshot.encode())

    def hear(self):
        """The next thing that the worker says."""
        return eventually(self.channel.receive, "the worker says something", DEADLINE_S)

    def serve(self):
        assert self.hear() == Prepared(snapshot=1)
        self.region.snapshot_number = 1
        self.channel.send(Serve())
        assert self.hear() == Serving()

    def propose(self, fd):
        """Has a snapshot prepared; what the worker says of it."""
        self.channel.send(Prepare(number=self.number, fd=fd))
        os.close(fd)
        return self.hear()

    def reload(self, text, **rest):
        """All of it, as the supervisor does it."""
        assert self.propose(self.file_of(text, **rest)) == Prepared(snapshot=self.number)
        self.region.snapshot_number = self.number

    def connect(self):
        return Peer(socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S))

    def end(self):
        self.process.kill()
        self.process.wait()
        self.channel.close()
        self.listening.close()
        self.region.close()


@contextlib.contextmanager
def worker(text):
    running = RunningWorker(text)
    try:
        running.serve()
        yield running
    finally:
        running.end()


def answer_of(client, path="/"):
    client.send(f"GET {path} HTTP/1.1\r\nHost: gateway.test\r\n\r\n".encode())
    return client.answer().body.decode()


def test_connection_goes_from_snapshot_to_snapshot():
    with worker(HERE.format(1)) as running, running.connect() as client:
        for number in range(2, 12):
            assert answer_of(client) == str(number - 1)
            assert running.propose(running.file_of(HERE.format(number))) == Prepared(snapshot=number)
            assert running.region.slot(0).prepared == number
            assert answer_of(client) == str(number - 1)
            running.region.snapshot_number = number
            assert answer_of(client) == str(number)


def test_snapshot_that_cannot_be_built_is_refused_and_nothing_changes():
    with worker(HERE.format("old")) as running, running.connect() as client:
        fd = running.file_of(
            '[filters.f]\nclass = "tidegate.filters.redirect:Redirect"\nto = "/x"\n' + HERE.format("new")
        )
        content = os.pread(fd, 1 << 20, 0).replace(b"redirect:Redirect", b"redirect:Redirecx")
        os.close(fd)
        refused = running.propose(memory_file("snapshot", content))
        assert isinstance(refused, Refused)
        assert (refused.snapshot, "Redirecx" in refused.reason) == (2, True)
        running.number += 1
        refused = running.propose(memory_file("snapshot", b"no snapshot"))
        assert isinstance(refused, Refused) and refused.snapshot == 3
        assert running.region.slot(0).prepared == 1
        assert answer_of(client) == "old"
        running.reload(HERE.format("new"))
        assert answer_of(client) == "new"


def test_prepared_snapshot_is_forgotten_and_the_next_one_comes():
    with worker(HERE.format("old")) as running, running.connect() as client:
        assert answer_of(client) == "old"
        fds = psutil.Process(running.process.pid).num_fds()
        assert running.propose(running.file_of(HERE.format("forgotten"))) == Prepared(snapshot=2)
        running.channel.send(Forget(number=2))
        eventually(lambda: running.region.slot(0).prepared == 1, "it is forgotten")
        # Forgotten while it is being prepared, or before: whichever it is, nothing of it stays.
        fd = running.file_of(HERE.format("forgotten too"))
        running.channel.send(Prepare(number=3, fd=fd))
        running.channel.send(Forget(number=3))
        os.close(fd)
        fd = running.file_of(HERE.format("new"))
        running.channel.send(Prepare(number=4, fd=fd))
        os.close(fd)
        said = running.hear()
        if said == Prepared(snapshot=3):
            said = running.hear()
        assert said == Prepared(snapshot=4)
        assert answer_of(client) == "old"
        running.region.snapshot_number = 4
        assert answer_of(client) == "new"
        eventually(lambda: psutil.Process(running.process.pid).num_fds() == fds, "no descriptor is left")


def test_time_for_a_drain_is_that_of_the_active_snapshot():
    text = '[server]\ndrain_timeout = "{}"\n' + HERE
    with worker(text.format("60s", "old")) as running, running.connect() as client:
        assert answer_of(client) == "old"
        running.reload(text.format("100ms", "new"))
        running.channel.close()  # as a supervisor that was killed: it drains by itself
        assert client.is_closed()


def test_draining_worker_goes_on_with_the_newest_snapshot():
    with worker(HERE.format("old")) as running, running.connect() as client:
        assert answer_of(client) == "old"
        running.channel.send(Drain(timeout_s=60.0))
        assert running.hear() == ListeningEnded()
        running.reload(HERE.format("new"))
        assert answer_of(client) == "new"
        assert client.is_closed()
        eventually(lambda: psutil.Process(running.process.pid).status() == psutil.STATUS_ZOMBIE, "it ends")


def test_many_reloads_leave_no_memory_and_no_descriptors():
    def text(turn):
        return HERE.format(turn) + "".join(
            f'[upstreams.u{turn}-{i}]\nendpoints = ["127.0.0.1:{1 + i}"]\n'
            f'[[routes]]\nname = "r{i}"\npath = "/{turn}/{i}/{{x}}"\nupstream = "u{turn}-{i}"\n'
            for i in range(100)
        )

    with worker(text(0)) as running, running.connect() as client:
        process = psutil.Process(running.process.pid)
        for turn in range(1, 16):
            running.reload(text(turn))
            assert answer_of(client) == str(turn)
        # The one before the last goes with the next tick.
        size, fds = process.memory_info().rss, process.num_fds()
        for turn in range(16, 46):
            running.reload(text(turn))
            assert answer_of(client) == str(turn)
        # The last snapshot's own may be open for a moment, then and now.
        eventually(lambda: process.num_fds() <= fds, "no descriptor is left")
        if os.environ.get("TIDEGATE_SANITIZE") != "1":
            assert process.memory_info().rss - size < 4 << 20


def test_ten_thousand_routes_are_prepared_while_it_serves():
    routes = "".join(
        f'[[routes]]\nname = "r{i}"\npath = "/x/{i}/*"\nrespond = {{ body = "{i}" }}\n' for i in range(10_000)
    )
    with worker(HERE.format("old")) as running:
        fd = running.file_of(HERE.format("new") + routes)
        running.channel.send(Prepare(number=2, fd=fd))
        os.close(fd)
        said = None
        served = 0
        end = time.monotonic() + DEADLINE_S
        while said is None and time.monotonic() < end:
            with running.connect() as client:  # one connection has a bounded number of requests
                assert answer_of(client) == "old"
            served += 1
            said = running.channel.receive()
        assert said == Prepared(snapshot=2)
        assert served > 20, "it serves between the slices"
        running.region.snapshot_number = 2
        with running.connect() as client:
            assert answer_of(client) == "new"
            assert answer_of(client, "/x/9999/y") == "9999"
        counters = read_meters(running.region).counters
        assert counters["exchanges_started"] == served + 2
