import os
import signal
import socket
import stat
from pathlib import Path

import pytest
from tests.process.gateway import supervised

from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.config.snapshot import Snapshot
from tidegate.process import state_directory
from tidegate.process.failure import StartError
from tidegate.process.holdings import Holdings
from tidegate.process.messages import SupervisorOrder


def order(tmp_path):
    return SupervisorOrder(-1, str(tmp_path / "run"), [])


def snapshot(admin="127.0.0.1:0", bind="127.0.0.1:0", **server):
    return Snapshot.build(Gateway(server=Server(workers=2, admin=admin, **server), listeners=(Listener(bind=bind),)))


def test_limits_memory_is_the_room_of_the_limits(tmp_path):
    made = Holdings.open(order(tmp_path), snapshot(limits_memory=2 << 20))
    sizes = {name: section.size for name, section in made.region.mapping.layout.sections.items()}
    made.close()
    assert sizes["rates"] == 1 << 20


def test_what_was_left_is_the_same_again(tmp_path):
    made = Holdings.open(order(tmp_path), snapshot())
    made.region.snapshot_number = 7
    adopted = Holdings.adopt(made.state())
    assert adopted.state() == made.state()
    assert adopted.region.snapshot_number == 7
    host, _, port = adopted.groups[0].address.rpartition(":")
    with socket.create_connection((host, int(port))):
        pass
    (path,) = (tmp_path / "run").iterdir()
    assert stat.S_ISSOCK(path.stat().st_mode)
    made.close()
    assert not path.exists()
    for group in (*adopted.groups, adopted.admin, adopted.commands):
        for one in group._sockets:
            one.detach()  # closed by their maker already


def test_two_generations_find_room(tmp_path):
    made = Holdings.open(order(tmp_path), snapshot())
    try:
        assert (made.region.workers, made.region.slots) == (2, 4)
        assert made.groups[0].state().slots == 2
    finally:
        made.close()


def test_what_was_opened_before_a_failure_is_closed(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(StartError, match="cannot listen"):
            Holdings.open(order(tmp_path), snapshot(admin=f"127.0.0.1:{taken.getsockname()[1]}"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_command_sockets_of_dead_gateways_are_removed(tmp_path):
    (tmp_path / "run").mkdir(mode=0o700)
    left = tmp_path / "run" / "4194999.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left))
    Holdings.open(order(tmp_path), snapshot()).close()
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("which", ["listener", "admin"])
def test_address_of_a_gateway_that_was_killed_is_waited_for(tmp_path, monkeypatch, capsys, which):
    state = tmp_path / "state"
    os.close(state_directory.claim(state))  # as the kernel gives it up: the name stays
    (state / "lock").write_text("4211\n")
    left = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{left.getsockname()[1]}"
    monkeypatch.setattr("time.sleep", lambda _: left.close())
    places = {"bind" if which == "listener" else "admin": address}
    made = Holdings.open(order(tmp_path), snapshot(state_dir=str(state), **places))
    assert made.state_lock_fd >= 0
    made.close()
    assert capsys.readouterr().err == (
        f"tidegate: cannot listen on {address} yet: the gateway before (pid 4211) was killed, and a process of it "
        "still has the address; waits for at most 10 s\n"
    )
    # After an ordinary end nobody is left who could have it.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartError, match="another program listens there already"):
            Holdings.open(order(tmp_path), snapshot(bind=bind, state_dir=str(state)))
    assert capsys.readouterr().err == ""


def test_address_is_waited_for_no_longer_than_said_and_the_next_start_waits_again(tmp_path, monkeypatch):
    state = tmp_path / "state"
    os.close(state_directory.claim(state))
    (state / "lock").write_text("4211\n")
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def sleep(seconds):
        now[0] += seconds

    monkeypatch.setattr("time.sleep", sleep)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        for _ in range(2):
            began = now[0]
            with pytest.raises(StartError, match="another program listens there already"):
                Holdings.open(order(tmp_path), snapshot(bind=bind, state_dir=str(state)))
            assert 10.0 <= now[0] - began < 10.1
    assert state_directory.last_holder(state) == 4211


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_start_that_waits_for_the_gateway_before_hears_that_it_is_to_end(tmp_path, number):
    state = tmp_path / "state"
    os.close(state_directory.claim(state))
    (state / "lock").write_text("4211\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Server(workers=1, admin="127.0.0.1:0", state_dir=str(state))
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with supervised(gateway=Gateway(server=server, listeners=(Listener(bind=bind),))) as gateway:
            gateway.hear(r"the gateway before \(pid 4211\) was killed")
            gateway.signal(number)
            assert gateway.wait() == 0
            assert gateway.complaints()[-1] == "tidegate: told to end while it waited for the gateway before"
    assert state_directory.last_holder(state) == 4211  # the next start waits again
