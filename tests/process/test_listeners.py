"""Listening sockets: real addresses, real files."""

import contextlib
import grp
import os
import pwd
import socket
import stat
from dataclasses import dataclass

import pytest

from tidegate.process.failure import StartError
from tidegate.process.listeners import ListenerGroup, open_listeners


@dataclass
class Settings:
    bind: str
    backlog: int = 128
    mode: int = 0o660
    owner: str | None = None


@contextlib.contextmanager
def opened(settings, slots=2):
    group = ListenerGroup.open(settings, slots)
    try:
        yield group
    finally:
        group.close()


@contextlib.contextmanager
def inherited(group, slot):
    """The socket as a worker in ``slot`` has it."""
    with socket.socket(fileno=os.dup(group.fd(slot))) as one:
        yield one


def address_of(group):
    host, _, port = group.address.rpartition(":")
    return host.strip("[]"), int(port)


def test_every_slot_has_its_own_socket_at_the_port_chosen_for_the_first():
    with opened(Settings("127.0.0.1:0"), slots=3) as group:
        for slot in range(3):
            with inherited(group, slot) as one:
                assert one.getsockname() == address_of(group)
        assert len({group.fd(slot) for slot in range(3)}) == 3


def test_connections_wait_in_the_slot_they_are_steered_to():
    with opened(Settings("127.0.0.1:0"), slots=3) as group, contextlib.ExitStack() as stack:
        group.steer([2])
        for _ in range(7):
            stack.enter_context(socket.create_connection(address_of(group), timeout=60))
        assert [group.queued(slot) for slot in range(3)] == [0, 0, 7]
        assert "waiting=0+0+7" in repr(group)


def test_with_no_live_slot_connections_wait_everywhere():
    with opened(Settings("127.0.0.1:0"), slots=2) as group, contextlib.ExitStack() as stack:
        group.steer([])
        for _ in range(40):
            stack.enter_context(socket.create_connection(address_of(group), timeout=60))
        assert min(group.queued(slot) for slot in range(2)) >= 3


def test_port_in_use_is_found_although_reuseport_would_bind_silently():
    in_use = pytest.raises(StartError, match=r"cannot listen on 127\.0\.0\.1:\d+: another program")
    with opened(Settings("127.0.0.1:0")) as first, in_use:
        ListenerGroup.open(Settings(first.address), 2)


def test_connections_of_a_predecessor_in_time_wait_are_no_obstacle():
    with opened(Settings("127.0.0.1:0"), slots=1) as group:
        client = socket.create_connection(address_of(group), timeout=60)
        with inherited(group, 0) as one:
            one.settimeout(5)
            one.accept()[0].close()  # the gateway closes first: TIME_WAIT is on its side
        assert client.recv(1) == b""
        client.close()
        address = group.address
    with opened(Settings(address)) as again:
        assert again.address == address


def test_ipv6_wildcard_leaves_ipv4_alone():
    with opened(Settings("[::]:0")) as six:
        _, port = address_of(six)
        with opened(Settings(f"0.0.0.0:{port}")):
            socket.create_connection(("::1", port), timeout=60).close()
            socket.create_connection(("127.0.0.1", port), timeout=60).close()
            assert sum(six.queued(slot) for slot in range(2)) == 1


@pytest.mark.parametrize(
    ("bind", "words"),
    [
        ("192.0.2.1:8080", "does not have that address"),
        ("no-such-name.invalid:8080", "has no address"),
        ("unix:/no/such/directory/socket", "No such file"),
    ],
)
def test_each_refusal_names_the_address_and_the_reason_in_one_line(bind, words):
    with pytest.raises(StartError) as failure:
        ListenerGroup.open(Settings(bind), 2)
    assert str(failure.value).startswith(f"cannot listen on {bind}: ")
    assert words in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_failure_closes_what_was_opened_before():
    with opened(Settings("127.0.0.1:0")) as taken:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(StartError):
            open_listeners([Settings(f"127.0.0.1:{port}"), Settings(taken.address)], 2)
        with opened(Settings(f"127.0.0.1:{port}")):
            pass


def test_unix_socket_has_its_mode_and_goes_with_the_gateway(tmp_path):
    path = tmp_path / "gate.sock"
    with opened(Settings(f"unix:{path}", mode=0o606)) as group:
        assert stat.S_IMODE(path.stat().st_mode) == 0o606
        assert group.fd(0) == group.fd(1)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert not path.exists()


def test_unix_socket_that_somebody_replaced_is_left_alone(tmp_path):
    path = tmp_path / "gate.sock"
    with opened(Settings(f"unix:{path}")):
        path.unlink()
        path.write_text("somebody else's")
    assert path.read_text() == "somebody else's"


def test_stale_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path):
    path = tmp_path / "gate.sock"
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
        crashed.listen()
        with pytest.raises(StartError, match="another program"):
            ListenerGroup.open(Settings(f"unix:{path}"), 2)
    with opened(Settings(f"unix:{path}")), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_unix_socket_with_a_full_queue_is_a_live_one(tmp_path):
    path = tmp_path / "gate.sock"
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(str(path))
        busy.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(path))
        with pytest.raises(StartError, match="another program"):
            ListenerGroup.open(Settings(f"unix:{path}"), 2)


def test_a_file_that_is_no_socket_is_never_removed(tmp_path):
    path = tmp_path / "gate.sock"
    path.write_text("precious")
    with pytest.raises(StartError, match="not a socket"):
        ListenerGroup.open(Settings(f"unix:{path}"), 2)
    assert path.read_text() == "precious"


def test_unknown_owner_is_named(tmp_path):
    path = tmp_path / "gate.sock"
    with pytest.raises(StartError, match="nobody-of-that-name"):
        ListenerGroup.open(Settings(f"unix:{path}", owner="nobody-of-that-name"), 2)
    assert not path.exists()


@pytest.mark.parametrize("has_owner", [True, False])
def test_what_somebody_puts_in_place_of_a_unix_socket_keeps_mode_and_owner(tmp_path, monkeypatch, has_owner):
    path, precious = tmp_path / "gate.sock", tmp_path / "precious"
    precious.touch(mode=0o600)
    set_umask = os.umask

    def swap(mask):
        if path.exists():  # it has just been bound
            path.unlink()
            path.symlink_to(precious)
        return set_umask(mask)

    monkeypatch.setattr("os.umask", swap)
    settings = Settings(f"unix:{path}", mode=0o666, owner=pwd.getpwuid(os.geteuid()).pw_name if has_owner else None)
    with pytest.raises(StartError, match="another file in its place") if has_owner else contextlib.nullcontext():
        ListenerGroup.open(settings, 2).close()
    assert stat.S_IMODE(precious.stat().st_mode) == 0o600


def test_unix_socket_has_its_owner(tmp_path):
    path = tmp_path / "gate.sock"
    group = os.getgid()
    if os.geteuid() == 0:
        group = next(one.gr_gid for one in grp.getgrall() if one.gr_gid != 0)
    with opened(Settings(f"unix:{path}", owner=f":{grp.getgrgid(group).gr_name}")):
        assert path.lstat().st_gid == group


def test_an_exclusive_socket_is_joined_by_nobody():
    group = ListenerGroup.open(Settings("127.0.0.1:0"), 1, is_exclusive=True)
    try:
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind(address_of(group))
    finally:
        group.close()
