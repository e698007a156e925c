"""A process of a load, started as the fleet starts it and talked to by hand."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time

import msgspec
import pytest
from tests.bench.driving import PATIENCE_S, order_for
from tests.plane.harness import REFUSING, until
from tests.plane.serving import Serving, answering

from tidegate.bench.order import Ended, Failed, Ready, Said, SecondOver, Server
from tidegate.bench.process import peer_of
from tidegate.process.messages import memory_file


@contextlib.contextmanager
def started(order):
    fd = memory_file("order", order if isinstance(order, bytes) else msgspec.msgpack.encode(order))
    process = subprocess.Popen(
        [sys.executable, "-m", "tidegate.bench.process", str(fd)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[fd],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    os.close(fd)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def hear(process):
    return msgspec.json.decode(process.stdout.readline(), type=Said)


def tell(process, word):
    process.stdin.write(word)
    process.stdin.flush()


def last(process):
    """What it says at the end; seconds before are left out."""
    while isinstance(said := hear(process), SecondOver):
        pass
    return said


def test_it_waits_for_the_word_and_stops_when_told():
    with Serving(answering()) as server, started(order_for(server.address)) as process:
        assert hear(process) == Ready(2)
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        assert soft == hard
        until(lambda: server.accepted == 2, "connected")
        tell(process, f"go {time.monotonic_ns()}\n".encode())
        assert isinstance(hear(process), SecondOver)
        tell(process, b"stop\n")
        measured = last(process).measured
        assert measured.is_stopped
        assert measured.statuses["200"]
        assert measured.cpu_s > 0
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("has_begun", [True, False])
def test_it_ends_when_nobody_holds_its_input_any_more(has_begun):
    with Serving(answering()) as server, started(order_for(server.address)) as process:
        assert isinstance(hear(process), Ready)
        if has_begun:
            tell(process, f"go {time.monotonic_ns()}\n".encode())
            assert isinstance(hear(process), SecondOver)
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0


def test_ctrl_c_is_not_for_it():
    with Serving(answering()) as server, started(order_for(server.address)) as process:
        assert isinstance(hear(process), Ready)
        process.send_signal(signal.SIGINT)
        tell(process, f"go {time.monotonic_ns()}\n".encode())
        assert isinstance(hear(process), SecondOver)
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0


def test_it_says_why_nobody_can_be_reached():
    with started(order_for(REFUSING)) as process:
        said = hear(process)
        assert said.usable == 0
        assert said.trouble[0] == "connection_refused"


def test_what_keeps_it_from_going_on_is_said():
    with started(b"no order") as process:
        assert isinstance(hear(process), Failed)
        assert process.wait(PATIENCE_S) == 1


def test_a_load_that_comes_to_its_end_says_all():
    order = order_for("127.0.0.1:1", stretches=[(0.2, 50.0, 50.0)], seconds=0.2, is_poisson=True, part=1, parts=2)
    with Serving(answering()) as server:
        host, _, port = server.address.rpartition(":")
        order = msgspec.structs.replace(order, server=Server(address=host, port=int(port)))
        with started(order) as process:
            assert isinstance(hear(process), Ready)
            tell(process, f"go {time.monotonic_ns()}\n".encode())
            said = last(process)
    assert isinstance(said, Ended)
    assert said.measured.is_open_loop
    assert not said.measured.is_stopped


def test_a_peer_has_the_name_that_its_certificate_is_for():
    order = order_for("127.0.0.1:443", server=Server(address="127.0.0.1", port=443, is_tls=True, name="a.test", ca="c"))
    peer = peer_of(order)
    assert (peer.scheme, peer.label, peer.tls.name, peer.tls.ca) == ("https", "127.0.0.1:443", "a.test", "c")
    assert peer_of(order_for("127.0.0.1:80")).tls is None
