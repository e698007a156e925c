"""Real workers whose loops are held: who is named, where connections go, who is replaced."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from tests.e2e.test_processes import ask
from tests.process.gateway import DEADLINE_S, eventually, stop_signal
from tests.process.stalling import begin, finish, get, place_of, stalling

from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState
from tidegate.process.child import Child
from tidegate.process.place import WorkerPlace
from tidegate.process.stack_pipe import SIGNAL
from tidegate.process.stall_watch import StallWatch

pytestmark = pytest.mark.e2e

OK = b"HTTP/1.1 200 OK"


def field(line, name):
    """The value of ``name=value`` in a line of the error log."""
    found = re.search(rf'\b{name}=("[^"]*"|\S+)', line)
    return found[1].strip('"') if found else None


def named(gateway, kind, pattern=""):
    """The next event of this kind, whole."""
    gateway.hear(rf"kind={kind} .*{pattern}")
    return gateway.said[-1]


def place_in(line):
    return f"{field(line, 'file')}:{field(line, 'line')}"


@pytest.mark.parametrize(
    ("target", "mark", "filter_name", "route"),
    [
        ("/sleep/0.6", "sleep", "holds", "any"),
        ("/coroutine/0.6", "coroutine", "later", "coroutine"),
        ("/task/0.6", "task", "holds or later", None),
    ],
)
def test_who_holds_the_loop_is_named_with_filter_file_and_line(target, mark, filter_name, route):
    with stalling(workers=1) as gateway:
        assert get(gateway, target).startswith(OK)
        line = named(gateway, "loop_stalled", re.escape(place_of(mark).rpartition("/")[2]))
        assert place_in(line) == place_of(mark)
        assert (field(line, "filter"), field(line, "route"), field(line, "worker")) == (filter_name, route, "0")
        assert field(line, "phase") == ("on_request" if route else None)
        assert int(field(line, "held_ms")) >= 100
        recovered = named(gateway, "loop_recovered")
        assert int(field(recovered, "held_ms")) >= 500
        assert place_of(mark) in recovered


def test_each_sleep_is_caught_and_the_same_place_is_not_said_each_time(tmp_path):
    with stalling(workers=1, has_control=True, runtime_dir=tmp_path / "run") as gateway:
        began = time.monotonic()
        for _ in range(12):
            assert get(gateway, "/sleep/0.4").startswith(OK)
        took_s = time.monotonic() - began
        # The loop beats between two of them; each is seen by its own mark.
        text = ask(gateway.admin, "/metrics")[2].decode()
        (stalls,) = re.findall(r'^tidegate_loop_stalls_total{worker="0"} (\d+)$', text, re.MULTILINE)
        assert int(stalls) >= 8
        gateway.signal(signal.SIGTERM)
        lines = [line for line in gateway.everything_said() if "kind=loop_stalled" in line and "filter=" in line]
        assert all(place_in(line) == place_of("sleep") for line in lines)
        # At once, and then after 1, 2, 4 … seconds, each with how often it happened since.
        assert 1 <= len(lines) <= 2 + took_s / 1.05
        assert len(lines) < int(stalls)


def test_endless_loop_and_blocking_call_are_named_and_the_worker_replaced():
    with stalling(workers=1, stall_kill=2.0) as gateway:
        for target, mark in (("/receive", "receive"), ("/busy", "busy")):
            (pid,) = gateway.workers()
            client = begin(gateway, target)
            line = named(gateway, "loop_stalled", f'file="?{re.escape(place_of(mark).rpartition(":")[0])}')
            if mark == "receive":
                assert place_in(line) == place_of(mark)
            with begin(gateway, "/") as waits:  # in the socket of the one that hangs
                killed = named(gateway, "stall_killed")
                assert re.search(r"is replaced: stalled for \d+\.\d s in \S+stalling\.py:\d+", killed)
                gateway.hear(r"process_died.*worker 0 is gone \(stalled for \S+ s in \S+stalling.py:\d+\)")
                with contextlib.suppress(ConnectionError):
                    assert finish(client) == b""
                assert finish(waits).startswith(OK)
            assert gateway.workers() != [pid]


def test_new_connections_go_to_the_other_worker_and_those_that_wait_are_answered():
    with stalling(workers=2) as gateway:
        held = begin(gateway, "/sleep/5")
        out = named(gateway, "steered_out")
        assert "stalled for" in out
        assert place_of("sleep") in out
        clients = [begin(gateway, "/") for _ in range(40)]
        # All of them at once from the one that gets on: the other is still asleep.
        assert all(finish(client).startswith(OK) for client in clients)
        held.settimeout(0.01)
        with pytest.raises(TimeoutError):
            held.recv(1)
        assert finish(held).startswith(OK)
        named(gateway, "steered_back", f"worker {field(out, 'worker')}")
        assert get(gateway, "/").startswith(OK)


def test_nobody_is_reset_who_waits_at_a_worker_that_is_held():
    with stalling(workers=2) as gateway:
        held = begin(gateway, "/sleep/3")
        # About half of them wait in its socket, until it is steered around and after.
        clients = [begin(gateway, "/") for _ in range(60)]
        answers = [finish(client) for client in clients]
        assert all(answer.startswith(OK) for answer in answers)
        assert finish(held).startswith(OK)
        named(gateway, "steered_out")
        named(gateway, "loop_recovered")
        named(gateway, "steered_back")


def test_stopped_worker_is_said_to_be_stopped_and_comes_back():
    with stalling(workers=2) as gateway:
        pid = gateway.workers()[0]
        stop_signal(pid)
        line = named(gateway, "worker_stopped")
        assert f"(pid {pid}) is stopped, until SIGCONT" in line
        out = named(gateway, "steered_out")
        assert field(out, "worker") == field(line, "worker")
        assert all(get(gateway, "/").startswith(OK) for _ in range(20))
        os.kill(pid, signal.SIGCONT)
        assert "was stopped for" in named(gateway, "loop_recovered")
        named(gateway, "steered_back")
        assert pid in gateway.workers()


def test_with_all_workers_stopped_steering_stays_as_it_is():
    with stalling(workers=2) as gateway:
        pids = gateway.workers()
        for pid in pids:
            stop_signal(pid)
        named(gateway, "worker_stopped")
        clients = [begin(gateway, "/") for _ in range(20)]
        time.sleep(1.5)  # longer than stall_out
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        assert all(finish(client).startswith(OK) for client in clients)
        gateway.signal(signal.SIGTERM)
        # The first that was stopped may have been taken out before the second was; not both.
        assert sum("kind=steered_out" in line for line in gateway.everything_said()) <= 1


def test_worker_that_stays_stopped_is_replaced():
    with stalling(workers=1, stall_kill=1.5) as gateway:
        (pid,) = gateway.workers()
        stop_signal(pid)
        assert re.search(r"is replaced: stopped for \d", named(gateway, "stall_killed"))
        assert get(gateway, "/").startswith(OK)
        assert gateway.workers() != [pid]


def test_worker_that_dies_while_its_stack_is_written_takes_nobody_along():
    with stalling(workers=1) as gateway:
        for _ in range(5):
            before = gateway.workers()
            client = begin(gateway, "/sleep/0.5")
            os.kill(before[0], SIGNAL)
            os.kill(before[0], signal.SIGKILL)
            with contextlib.suppress(ConnectionError):
                answer = finish(client)
                assert answer == b"" or answer.startswith(OK)  # its successor's, if it was not accepted yet
            eventually(lambda old=before: gateway.workers() not in ([], old), "a successor runs")
            assert get(gateway, "/").startswith(OK)


@pytest.mark.sanitize
def test_storm_of_signals_in_the_middle_of_traffic_harms_nobody():
    with stalling(workers=1) as gateway:
        (pid,) = gateway.workers()
        is_over = threading.Event()

        def storm():
            while not is_over.wait(0.0005):
                os.kill(pid, SIGNAL)

        stormy = threading.Thread(target=storm)
        stormy.start()
        try:
            with gateway.connect() as client:
                for _ in range(30):
                    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 50)
                    got = b""
                    while got.count(b"done") < 50:
                        data = client.recv(1 << 20)
                        assert data, "closed"
                        got += data
                    assert got.count(OK) == 50
            assert all(get(gateway, "/coroutine/0.001").startswith(OK) for _ in range(20))
        finally:
            is_over.set()
            stormy.join(DEADLINE_S)
        assert gateway.workers() == [pid]
        # And the stack of who really holds the loop is still found.
        begin(gateway, "/sleep/1.0").close()
        assert place_in(named(gateway, "loop_stalled", "filter=holds")) == place_of("sleep")


def test_gateway_that_is_well_says_nothing_of_stalls():
    with stalling(workers=1) as gateway:
        for _ in range(50):
            assert get(gateway, "/").startswith(OK)
        gateway.signal(signal.SIGTERM)
        assert not [line for line in gateway.everything_said() if "filter=" in line]


def test_stall_notice_is_how_long_a_callback_may_take():
    with stalling(workers=1, stall_notice=1.5) as gateway:
        assert get(gateway, "/sleep/0.5").startswith(OK)
        assert get(gateway, "/coroutine/2.5").startswith(OK)
        # The first event is about the second request.
        line = named(gateway, "loop_stalled", "filter=")
        assert (field(line, "filter"), place_in(line)) == ("later", place_of("coroutine"))
        assert int(field(line, "held_ms")) >= 1500


def test_stall_out_is_when_connections_go_elsewhere():
    with stalling(workers=2, stall_out=2.0) as gateway:
        assert get(gateway, "/sleep/1.3").startswith(OK)
        assert get(gateway, "/coroutine/3.5").startswith(OK)
        line = named(gateway, "steered_out")
        assert place_of("coroutine") in line
        assert float(re.search(r"stalled for (\S+) s", line)[1]) >= 2.0


def test_stall_kill_may_be_off():
    with stalling(workers=1, stall_kill=None, stall_out=0.3) as gateway:
        workers = gateway.workers()
        assert get(gateway, "/sleep/3").startswith(OK)
        assert "goes on" in named(gateway, "loop_recovered", "stalling")
        assert gateway.workers() == workers


def test_stall_is_in_the_metrics_and_the_status(tmp_path):
    with stalling(workers=1, has_control=True, runtime_dir=tmp_path / "run") as gateway:

        def metric(name):
            text = ask(gateway.admin, "/metrics")[2].decode()
            (sample,) = re.findall(rf'^{name}{{worker="0"}} (\S+)$', text, re.MULTILINE)
            return float(sample)

        def worker():
            return json.loads(ask(gateway.admin, "/status")[2])["workers"][0]

        client = begin(gateway, "/sleep/4")
        eventually(lambda: worker()["state"] == "stalled", "the status says it")
        eventually(lambda: worker()["stalled_in"] == place_of("sleep"), "and where")
        assert metric("tidegate_loop_stall_seconds") > 0.1
        assert finish(client).startswith(OK)
        eventually(lambda: worker()["state"] == "ready", "it is over")
        eventually(lambda: worker()["stalled_in"] == "", "nothing holds it")
        assert metric("tidegate_loop_stall_seconds") == 0
        assert metric("tidegate_loop_stalls_total") >= 1
        assert metric("tidegate_loop_stall_max_seconds") >= 3


TRACED = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None)
pid = os.fork()
if pid == 0:
    libc.ptrace(0, 0, 0, 0)  # PTRACE_TRACEME
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)
os.waitpid(pid, os.WUNTRACED)
print(pid, flush=True)
sys.stdin.read()
os.kill(pid, signal.SIGKILL)
"""


@pytest.fixture
def traced():
    """The pid of a process that stands still because another one traces it."""
    with subprocess.Popen([sys.executable, "-c", TRACED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tracer:
        yield int(tracer.stdout.readline())
        tracer.stdin.close()


@pytest.mark.parametrize("by", ["py-spy", "a debugger"])
def test_worker_that_stands_still_because_we_look_into_it_has_no_debugger(traced, by):
    """One that hangs for good is noticed anew while py-spy has it: that is no reason to leave it alone for ever."""
    region = Region.create(1)
    place = WorkerPlace("worker 0", slot=region.slot(0), seat=0)
    place.slot.state = SlotState.READY
    place.slot.heartbeat_ns = 10**9
    place.fill(Child("worker 0", traced, None))
    killed = []
    place.child.kill = lambda: killed.append(traced)
    workers = SimpleNamespace(places=[place], snapshot_number=0, is_draining=False)
    native = SimpleNamespace(pid=traced if by == "py-spy" else 0, take=lambda: None, ask=lambda _: False)
    said = []
    now_ns = 10**9
    watch = StallWatch(region, workers, lambda kind, *_, **__: said.append(kind), native, lambda: now_ns)
    try:
        for _ in range(60 * 20):  # a minute, in steps of the watch
            now_ns += 50_000_000
            watch.look()
    finally:
        os.close(place.child.pidfd)
        region.close()
    if by == "py-spy":
        assert killed
        assert "worker_stopped" not in said
    else:
        assert not killed
        assert "worker_stopped" in said
