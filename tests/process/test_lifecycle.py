"""What is said of lives, by gateways that start, are upgraded, hurt and stopped."""

import os
import re
import signal

import pytest
from tests.process.gateway import stop_signal, supervised
from tests.process.upgradable import upgradable

from tidegate.config.listeners import Listener
from tidegate.config.logs import ErrorLog
from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.process.lifecycle import Lifecycle

pytestmark = pytest.mark.timeout(180)


def events(lines, *kinds):
    """The events of those kinds in order, each as its fields; values without their quotes."""
    found = []
    for line in lines:
        fields = dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line))
        if fields.get("kind") in kinds:
            found.append({name: value.strip('"') for name, value in fields.items()})
    return found


def test_a_life_from_its_start_to_its_end():
    with supervised(workers=2, has_control=False) as gateway:
        gateway.wait_ready()
        first = gateway.workers()
        os.kill(first[0], signal.SIGKILL)
        gateway.hear("kind=process_ready")
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
        said = gateway.everything_said()
        (starting,) = events(said, "starting")
        assert (starting["pid"], starting["workers"], starting["snapshot"]) == (str(gateway.pid), "2", "1")
        started = events(said, "process_started")
        ready = events(said, "process_ready")
        # Two at once, and the successor: each is a line of its own.
        assert sorted(one["name"] for one in started) == ["worker 0", "worker 0", "worker 1"]
        assert {one["pid"] for one in started} == {one["pid"] for one in ready} >= {str(pid) for pid in first}
        assert all(one["count"] == "1" and one["generation"] == "1" for one in (*started, *ready))
        assert all(float(one["took_s"]) > 0 for one in (*ready, *events(said, "ready")))
        (died,) = events(said, "process_died")
        assert died["pid"] == str(first[0])
        assert float(died["lived_s"]) > 0
        (draining,) = events(said, "draining")
        assert (draining["why"], draining["timeout_s"]) == ("SIGTERM", "5.0")
        assert sorted(one["left"] for one in events(said, "drained")) == ["0", "1"]
        (stopped,) = events(said[-1:], "stopped")
        assert (stopped["how"], stopped["why"]) == ("drained", "SIGTERM")
        assert float(stopped["uptime_s"]) > float(stopped["drain_s"])
        kinds = [one["kind"] for one in events(said, "starting", "process_started", "ready", "draining", "stopped")]
        assert kinds == ["starting", *["process_started"] * 2, "ready", "process_started", "draining", "stopped"]


@pytest.mark.parametrize("how", ["deadline", "at_once"])
def test_end_that_cuts_somebody_says_so(how):
    with supervised(workers=1, drain_timeout=0.2 if how == "deadline" else 60.0) as gateway:
        gateway.wait_ready()
        with gateway.connect() as held:
            held.makefile("rb").readline()
            gateway.signal(signal.SIGTERM)
            if how == "at_once":
                gateway.hear("kind=draining")
                gateway.signal(signal.SIGINT)
            assert gateway.wait() == 0
        said = gateway.everything_said()
        assert f"kind=stopped how={how} why=SIGTERM" in said[-1]
        assert [one["why"] for one in events(said, "stopping_at_once")] == (["SIGINT"] if how == "at_once" else [])


def test_worker_that_had_to_be_killed_is_said_at_the_end():
    with supervised(workers=1, drain_timeout=0.2) as gateway:
        gateway.wait_ready()
        (pid,) = gateway.workers()
        os.kill(pid, signal.SIGSTOP)
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
        said = gateway.everything_said()
        assert "kind=stopped how=late" in said[-1]
        (drained,) = events(said, "drained")
        assert (drained["pid"], drained["left"]) == (str(pid), "0")


def test_signal_when_all_is_served_cuts_nobody(tmp_path):
    with supervised(workers=1, drain_timeout=60.0, has_control=True, runtime_dir=tmp_path / "run") as gateway:
        gateway.wait_ready()
        (control,) = gateway.control()
        stop_signal(control)  # it has the logs to write out, and takes its time
        gateway.signal(signal.SIGTERM)
        gateway.hear("kind=drained .*left=0")
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
        said = gateway.everything_said()
        assert "kind=stopped how=drained why=SIGTERM" in said[-1]
        assert not events(said, "stopping_at_once")


def test_signal_before_it_is_ready_is_why_it_stopped():
    with supervised(workers=1, environment={"ECHO_TROUBLE": "hang"}) as gateway:
        gateway.hear("kind=process_started")
        gateway.signal(signal.SIGTERM)
        gateway.wait()
        said = gateway.everything_said()
        assert "kind=stopped how=at_once why=SIGTERM" in said[-1]
        assert "it was not ready yet" in said[-1]


class Notes:
    """An error log of what is noted last."""

    def note(self, kind, message, **fields):
        self.last = {"kind": kind, "message": message, **fields}


@pytest.mark.parametrize(("drain_s", "how"), [(9.0, "drained"), (10.0, "deadline")])
def test_writing_the_logs_is_no_part_of_the_drain(monkeypatch, drain_s, how):
    now_s = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    log = Notes()
    lives = Lifecycle(log, 0)
    lives.why = "SIGTERM"
    lives.draining(10.0)
    now_s += drain_s
    lives.served()
    now_s += 5.0
    lives.stopped()
    assert (log.last["kind"], log.last["how"], log.last["drain_s"]) == ("stopped", how, drain_s)


@pytest.mark.e2e
def test_worker_of_an_old_generation_that_was_late_is_no_late_end(tmp_path):
    with upgradable(tmp_path, workers=1, upgrade_drain_timeout=0.2, drain_timeout=60.0) as it:
        stop_signal(it.workers(1)[0])
        assert it.upgrade()["phase"] == "done"
        it.gateway.hear("kind=drain_late")
        it.until_only(2)
        it.gateway.signal(signal.SIGTERM)
        assert it.gateway.wait() == 0
        assert "kind=stopped how=drained" in it.gateway.everything_said()[-1]


def test_start_that_fails_is_in_the_log_file(tmp_path):
    log = tmp_path / "error.log"
    server = Server(workers=1, admin="127.0.0.1:0")
    gateway = Gateway(server=server, listeners=(Listener(bind="127.0.0.1:0"),), error_log=ErrorLog(path=str(log)))
    with supervised(gateway=gateway, environment={"ECHO_TROUBLE": "refuse"}) as running:
        assert running.wait() == 1
        (reason,) = running.everything_said()
    (failed,) = events(log.read_text().splitlines(), "start_failed")
    assert f"tidegate: {failed['message']}" == reason


@pytest.mark.e2e
def test_generations_are_told_apart(tmp_path):
    with upgradable(tmp_path) as it:
        assert it.upgrade()["phase"] == "done"
        it.until_only(2)
        it.gateway.signal(signal.SIGUSR1)
        it.gateway.hear("kind=logs_reopened")
        it.client.post("/stop", {"at_once": False})
        assert it.gateway.wait() == 0
        said = it.gateway.everything_said()
        ready = events(said, "process_ready")
        assert sorted(one["name"] for one in ready) == sorted(2 * ["control", "worker 0", "worker 1"])
        assert sorted(one["generation"] for one in ready if "generation" in one) == ["1", "1", "2", "2"]
        assert {one["generation"] for one in events(said, "drained")} == {"1", "2"}
        assert re.search("kind=draining why=.it was asked through the admin API", "\n".join(said))
