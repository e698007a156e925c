"""The worker that is kept ready for the place of the next one that dies."""

import contextlib
import os
import signal
import socket
import threading

import pytest
from tests.process.gateway import are_gone, eventually, stop_signal, supervised

from tidegate.process.channel import Channel, ChannelClosed
from tidegate.process.messages import (
    InheritedListener,
    Prepared,
    SupervisorMessage,
    TakePlace,
    WorkerMessage,
    WorkerOrder,
)
from tidegate.process.spare import wait_for_place
from tidegate.process.spare_place import NO_SLOT


def order(channel_fd=-1, listeners=()):
    return WorkerOrder(
        slot=NO_SLOT,
        channel_fd=channel_fd,
        region_fd=-1,
        snapshot_fd=-1,
        listeners=list(listeners),
        python_path=[],
        service="tests.process.echo_service:EchoService",
    )


# -- in the process ----------------------------------------------------------------------------------------------------


def test_waiting_one_keeps_the_sockets_of_its_place_and_closes_the_others():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mine, others = (InheritedListener(index=0, fd=os.memfd_create("listener")) for _ in range(2))
    snapshot_fd = os.memfd_create("snapshot")
    supervisor: Channel[SupervisorMessage] = Channel(ours, SupervisorMessage)
    spare: Channel[WorkerMessage] = Channel(theirs, WorkerMessage)
    told = []

    def tell():
        ours.setblocking(True)
        told.append(supervisor.receive())
        supervisor.send(TakePlace(slot=3, listeners=[mine], fd=snapshot_fd))

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        found = wait_for_place(order(listeners=[mine, others]), spare)
    finally:
        teller.join()
    assert told == [Prepared()]
    assert (found.slot, found.listeners) == (3, [mine])
    assert os.path.sameopenfile(found.snapshot_fd, snapshot_fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(others.fd)
    for fd in (mine.fd, snapshot_fd, found.snapshot_fd):
        os.close(fd)
    supervisor.close()
    spare.close()


def test_waiting_one_ends_with_the_supervisor():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    spare: Channel[WorkerMessage] = Channel(theirs, WorkerMessage)
    closing = threading.Thread(target=lambda: (ours.recv(1000), ours.close()))
    closing.start()
    with pytest.raises(ChannelClosed):
        wait_for_place(order(), spare)
    closing.join()
    spare.close()


# -- real ones ---------------------------------------------------------------------------------------------------------


def waiting(gateway):
    """The pid of the spare, once it could take a place."""
    return int(gateway.hear(r'kind=process_ready name="spare worker".* pid=(\d+)')[1])


def successor(gateway):
    """The pid of the worker that serves next."""
    return int(gateway.hear(r'kind=process_ready name="worker \d".* pid=(\d+)')[1])


@pytest.mark.e2e
def test_dead_worker_is_followed_by_the_spare_and_another_spare_comes():
    with supervised(workers=2, has_spare=True) as gateway:
        first = set(gateway.wait_ready().workers())
        for _ in range(2):
            spare = waiting(gateway)
            victim = first.pop()
            os.kill(victim, signal.SIGKILL)
            assert successor(gateway) == spare
            first.add(spare)
        serving = set()
        with contextlib.ExitStack() as stack:

            def are_all_reached():  # one that was late with its heartbeat gets no connections for a while
                client = stack.enter_context(gateway.connect())
                serving.add(int(client.makefile("rb").readline().split()[1]))
                return serving >= first

            eventually(are_all_reached, "both workers get connections")
            assert serving == first


@pytest.mark.e2e
def test_stopped_spare_takes_no_place():
    with supervised(workers=1, has_spare=True) as gateway:
        (victim,) = gateway.wait_ready().workers()
        spare = waiting(gateway)
        stop_signal(spare)
        os.kill(victim, signal.SIGKILL)
        assert successor(gateway) not in (spare, victim)


@pytest.mark.e2e
def test_killed_spare_is_said_and_followed_and_nobody_else_notices():
    with supervised(workers=1, has_spare=True) as gateway:
        gateway.wait_ready()
        with gateway.connect() as client:
            assert client.recv(100)
            spare = waiting(gateway)
            os.kill(spare, signal.SIGKILL)
            gateway.hear(r"spare worker is gone \(killed by SIGKILL\)")
            assert waiting(gateway) != spare
            client.sendall(b"here\n")
            assert client.recv(100) == b"here\n"


@pytest.mark.e2e
def test_spare_ends_with_the_gateway_and_with_a_killed_supervisor():
    for number in (signal.SIGTERM, signal.SIGKILL):
        with supervised(workers=1, has_spare=True) as gateway:
            gateway.wait_ready()
            pids = [waiting(gateway), *gateway.workers()]
            gateway.signal(number)
            gateway.wait()
            eventually(lambda pids=pids: are_gone(pids), "all are gone")
