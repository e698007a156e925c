"""Real supervisors with echo workers: what they start, replace and end, and what they say."""

import contextlib
import os
import re
import signal
import socket
import sys

import psutil
import pytest
from tests.process.gateway import are_gone, eventually, stop_signal, supervised

from tidegate.process.messages import Companion

pytestmark = pytest.mark.e2e


def greeted(connection):
    connection.settimeout(20)
    slot, pid = connection.makefile("rb").readline().split()
    return int(slot), int(pid)


def test_killed_worker_is_replaced_and_its_neighbours_are_not_touched():
    with supervised(workers=2) as gateway:
        gateway.wait_ready()
        first = set(gateway.workers())
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(gateway.connect()) for _ in range(20)]
            pids = [greeted(one)[1] for one in held]
            victim = pids[0]
            os.kill(victim, signal.SIGKILL)
            gateway.hear(r"worker \d is gone \(killed by SIGKILL\); the next one starts now")
            eventually(lambda: len(set(gateway.workers()) - first) == 1, "a successor runs")
            for one, pid in zip(held, pids, strict=True):
                if pid != victim:
                    one.sendall(b"here\n")
                    assert one.recv(100) == b"here\n"
        assert set(gateway.workers()) & first == first - {victim}


def test_worker_that_is_told_to_end_drains_and_is_replaced():
    with supervised(workers=1) as gateway:
        gateway.wait_ready()
        (first,) = gateway.workers()
        with gateway.connect() as held:
            greeted(held)
            os.kill(first, signal.SIGTERM)
            with pytest.raises(psutil.TimeoutExpired):
                psutil.Process(first).wait(0.2)
            held.sendall(b"bye\n")
            assert held.recv(100) == b"bye\n"
            assert held.recv(100) == b""
        gateway.hear(r"worker 0 is gone \(exited with code 0\)")
        with gateway.connect() as anew:
            assert greeted(anew)[1] != first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_drains(number):
    with supervised(workers=2) as gateway:
        gateway.wait_ready()
        with gateway.connect() as held:
            greeted(held)
            gateway.signal(number)
            gateway.hear("kind=draining .*for at most 5 s; a second signal stops at once")

            def is_closed():
                try:
                    gateway.connect().close()
                except ConnectionRefusedError:
                    return True
                return False

            eventually(is_closed, "nobody listens")
            assert gateway.process.poll() is None
            held.sendall(b"last\n")
            assert held.recv(100) == b"last\n"
            assert held.recv(100) == b""
        assert gateway.wait() == 0


def test_second_signal_stops_at_once():
    with supervised(workers=2, drain_timeout=600.0) as gateway:
        gateway.wait_ready()
        pids = gateway.workers()
        with gateway.connect() as held:
            greeted(held)
            gateway.signal(signal.SIGTERM)
            gateway.hear("draining")
            gateway.signal(signal.SIGTERM)
            assert gateway.wait() == 0
            assert held.recv(100) == b""
        assert are_gone(pids)


def test_what_has_not_finished_at_the_deadline_is_cut():
    with supervised(workers=1, drain_timeout=0.3) as gateway:
        gateway.wait_ready()
        with gateway.connect() as held:
            greeted(held)
            gateway.signal(signal.SIGTERM)
            assert gateway.wait() == 0
            assert held.recv(100) == b""


def test_stopped_worker_does_not_keep_the_gateway_from_ending():
    with supervised(workers=2, drain_timeout=0.3) as gateway:
        gateway.wait_ready()
        pids = gateway.workers()
        stop_signal(pids[0])
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
        assert any("has not finished in time" in line for line in gateway.everything_said())
        assert are_gone(pids)


def test_workers_end_when_their_supervisor_is_killed():
    with supervised(workers=2) as gateway:
        gateway.wait_ready()
        pids = gateway.workers()
        assert len(pids) == 2
        gateway.process.kill()
        gateway.wait()
        eventually(lambda: are_gone(pids), "no orphan is left")


def test_workers_without_a_supervisor_finish_what_they_serve():
    with supervised(workers=1) as gateway:
        gateway.wait_ready()
        (pid,) = gateway.workers()
        with gateway.connect() as held:
            greeted(held)
            gateway.process.kill()
            gateway.wait()
            held.sendall(b"orphan\n")
            assert held.recv(100) == b"orphan\n"
            # It closes after this answer, or, if it has not noticed until now, after the next.
            with contextlib.suppress(ConnectionError):
                held.sendall(b"last\n")
                while held.recv(100):
                    pass
        eventually(lambda: are_gone([pid]), "no orphan is left")


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("refuse", "the echo has no voice today"),
        ("refuse-late", "the echo lost its voice"),
        ("crash", r"worker \d could not start: exited with code 9"),
        ("bug", r"KeyError: 'surprise' \(.*echo_service.py:\d+\)"),
    ],
)
def test_a_start_that_fails_says_why_in_one_line(trouble, reason):
    with supervised(environment={"ECHO_TROUBLE": trouble}) as gateway:
        assert gateway.wait() == 1
        (line,) = gateway.complaints()
        assert re.fullmatch(f"tidegate: {reason}", line)


def test_a_start_that_hangs_can_be_stopped():
    with supervised(environment={"ECHO_TROUBLE": "hang"}) as gateway:
        eventually(lambda: len(gateway.workers()) == 2, "workers are started")
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
        assert gateway.complaints() == []
        assert "kind=stopped how=at_once" in gateway.said[-1]


def test_port_in_use_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with supervised(bind=f"127.0.0.1:{port}") as gateway:
            assert gateway.wait() == 1
            (line,) = gateway.complaints()
            assert line == (
                f"tidegate: cannot listen on 127.0.0.1:{port}: another program listens there already "
                "(stop it, or choose another address)"
            )


def test_a_crash_loop_slows_down_and_is_told(tmp_path):
    flag = tmp_path / "crash"
    with supervised(workers=1, environment={"ECHO_TROUBLE": f"crash-if:{flag}"}) as gateway:
        gateway.wait_ready()
        flag.touch()
        os.kill(gateway.workers()[0], signal.SIGKILL)
        gateway.hear(r"killed by SIGKILL\); the next one starts now")
        gateway.hear(r"exited with code 9\); the next one starts in [\d.]+ s, as it keeps dying")
        with gateway.connect() as waiting:
            flag.unlink()
            assert greeted(waiting)[0] == 0


def test_unix_listener_serves_survives_a_worker_and_goes_with_the_gateway(tmp_path):
    path = tmp_path / "gate.sock"
    with supervised(workers=2, bind=f"unix:{path}") as gateway:
        gateway.wait_ready()

        def visit():
            with socket.socket(socket.AF_UNIX) as one:
                one.settimeout(20)
                one.connect(str(path))
                return greeted(one)[1]

        os.kill(visit(), signal.SIGKILL)
        gateway.hear("is gone")
        visit()
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
    assert not path.exists()


def test_hangup_changes_nothing_and_says_so_when_nobody_can_reload():
    with supervised() as gateway:
        gateway.wait_ready()
        before = gateway.workers()
        gateway.signal(signal.SIGHUP)
        gateway.hear("kind=not_reloaded .*nobody is there who could read the configuration")
        assert gateway.workers() == before


def test_companion_lives_and_dies_with_the_gateway(tmp_path):
    program = [sys.executable, "-c", "import time; time.sleep(60)", "the-companion"]
    with supervised(companions=[Companion(name="demo", argv=program)]) as gateway:
        gateway.wait_ready()
        (first,) = eventually(lambda: gateway.children("the-companion"), "the companion runs")
        os.kill(first, signal.SIGKILL)
        gateway.hear(r"demo is gone \(killed by SIGKILL\)")
        (second,) = eventually(lambda: gateway.children("the-companion"), "it runs again")
        assert second != first
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
        assert are_gone([second])


def test_supervisor_loads_nothing_that_is_for_people_or_for_serving():
    with supervised() as gateway:
        gateway.wait_ready()
        maps = {path.path for path in psutil.Process(gateway.pid).memory_maps(grouped=True)}
        assert not [path for path in maps if "pydantic" in path or "uvloop" in path or "_ssl" in path]
