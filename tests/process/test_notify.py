import signal
import socket

import pytest
from tests.process.gateway import eventually, supervised

from tidegate.process.notify import Notifier


@pytest.fixture
def systemd(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(20)
        yield listening


def test_fields_are_lines_of_one_datagram(systemd):
    notifier = Notifier({"NOTIFY_SOCKET": systemd.getsockname()})
    notifier.say(READY="1", STATUS="serves")
    assert systemd.recv(4096) == b"READY=1\nSTATUS=serves"
    notifier.close()
    notifier.say(READY="1")


def test_abstract_address_and_one_that_is_not_there():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")  # an abstract address that the kernel chooses
        listening.settimeout(20)
        name = listening.getsockname()
        notifier = Notifier({"NOTIFY_SOCKET": "@" + name[1:].decode()})
        notifier.say(READY="1")
        assert listening.recv(4096) == b"READY=1"
    notifier.say(READY="1")  # to nobody
    notifier.close()
    Notifier({}).say(READY="1")


def test_watchdog_is_fed_at_half_its_time_and_only_when_it_is_ours(systemd):
    now_s = 100.0
    ours = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "4000000"}
    notifier = Notifier(ours, clock=lambda: now_s)
    for step_s, fed in ((0.0, True), (1.9, False), (0.1, True), (5.0, True)):
        now_s += step_s
        notifier.beat()
        systemd.setblocking(False)
        try:
            assert (systemd.recv(4096) == b"WATCHDOG=1") is fed
        except BlockingIOError:
            assert not fed
    other = Notifier({**ours, "WATCHDOG_PID": "1"}, clock=lambda: now_s)
    other.beat()
    with pytest.raises(BlockingIOError):
        systemd.recv(4096)
    notifier.close()
    other.close()


@pytest.mark.e2e
def test_systemd_is_told_of_a_gateways_life(systemd):
    environment = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "1000000"}
    with supervised(workers=1, environment=environment) as gateway:
        gateway.wait_ready()
        heard = []

        def has_heard(word):
            heard.append(systemd.recv(4096).decode())
            return word in heard[-1]

        eventually(lambda: has_heard("READY=1"), "it is ready")
        for _ in range(3):
            eventually(lambda: has_heard("WATCHDOG=1"), "it is alive")
        gateway.signal(signal.SIGTERM)
        eventually(lambda: has_heard("STOPPING=1"), "it stops")
        assert gateway.wait() == 0
