"""Changing the configuration of a gateway that serves: nobody notices but by the answers, or nothing has changed."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from tests.e2e.test_configuration import gateway
from tests.process.gateway import eventually, stop_signal

pytestmark = pytest.mark.e2e

MOODY = """
import time
import tidegate

class Moody(tidegate.Filter):
    mood: str = tidegate.option("good", "what it is like today")

    def prepare(self):
        if self.mood == "bad":
            raise ValueError("no room for me today")
"""


def answers(one, count=20):
    """What ``count`` clients get, each on a connection of its own."""
    return {one.hello() for _ in range(count)}


def all_serve(one, number):
    """Whether every worker is ready with a configuration."""
    workers = one.status()["workers"]
    return all((worker["state"], worker["snapshot"]) == ("ready", number) for worker in workers)


def two_workers(tmp_path, **more):
    return gateway(tmp_path, **{"workers": 2, **more})


def reloading(one):
    """`tidegate reload` on its way."""
    return subprocess.Popen(
        [sys.executable, "-m", "tidegate", "reload"],
        env={**os.environ, "TIDEGATE_RUNTIME_DIR": str(one.directory / "run")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


class Load:
    """Clients that ask up to a hundred times a second each, half of them on kept connections; and what went wrong.

    They leave the processors to the reloads between two requests: the check of a configuration stands back for
    everybody, so that clients without a pause would mostly test how long it waits.
    """

    def __init__(self, one, clients=4):
        self.one = one
        self.failures = []
        self.count = 0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n % 2 == 0,)) for n in range(clients)]

    def _ask(self, is_kept):
        connection = None
        while not self._ended.wait(0.01):
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.one.port, timeout=30)
                connection.request("GET", "/hello")
                answer = connection.getresponse()
                body = answer.read().decode()
                if answer.status != 200 or not body.startswith("n"):
                    self.failures.append(f"{answer.status} {body}")
                if not is_kept or answer.will_close:
                    connection.close()
                    connection = None
                self.count += 1
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection = None
        if connection is not None:
            connection.close()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        for thread in self._threads:
            thread.join()


def test_changed_file_is_active_on_all_workers(tmp_path):
    with two_workers(tmp_path) as one:
        kept = http.client.HTTPConnection("127.0.0.1", one.port, timeout=30)
        kept.request("GET", "/hello")
        assert kept.getresponse().read() == b"one"
        one.write("two")
        done = one.command("reload")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("tidegate: configuration 2 is active")
        assert answers(one) == {"two"}
        assert all_serve(one, 2)
        kept.request("GET", "/hello")
        assert kept.getresponse().read() == b"two"
        kept.close()
        assert one.status()["snapshot"]["last_reload"]["result"] == "active"


def test_hangup_and_a_watched_file_reload(tmp_path):
    with two_workers(tmp_path) as one:
        one.write("two")
        one.supervisor.signal(signal.SIGHUP)
        one.supervisor.hear("kind=reloaded by=SIGHUP .*configuration 2 is active")
        assert answers(one) == {"two"}
        one.server = "watch = true"
        one.write("three")
        assert one.command("reload").returncode == 0
        one.write("four")
        one.supervisor.hear("kind=reloaded by=watch .*configuration 4 is active")
        assert answers(one) == {"four"}


def test_configuration_is_put_looked_up_and_rolled_back(tmp_path):
    with two_workers(tmp_path) as one:
        etag = one.api("GET", "/config")[1]["ETag"]
        status, headers, outcome = one.api("PUT", "/config", one.text("two"), If_Match=etag)
        assert (status, outcome["result"], headers["Tidegate-Configuration"]) == (200, "active", "2")
        assert headers["ETag"] != etag
        assert answers(one) == {"two"}
        assert one.api("PUT", "/config", one.text("three"), If_Match=etag)[0] == 412
        # What was shown can be sent back changed, as JSON.
        document = one.api("GET", "/config")[2]
        document["routes"][0]["respond"]["body"] = "three"
        changed = one.api(
            "PUT", "/config", json.dumps(document), If_Match=headers["ETag"], Content_Type="application/json"
        )
        assert changed[0] == 200
        assert answers(one) == {"three"}
        status, _, outcome = one.api("POST", "/config/rollback", '{"number": 1}', Content_Type="application/json")
        assert (status, outcome["number"]) == (200, 4)
        assert answers(one) == {"one"}
        past = one.api("GET", "/config/history")[2]
        assert [(entry["number"], entry["kind"]) for entry in past] == [
            (4, "rollback"),
            (3, "api"),
            (2, "api"),
            (1, "file"),
        ]
        assert '-    "body": "two"\n+    "body": "three"' in past[1]["difference"]
        one.write("five")
        done = one.command("reload")
        assert "it replaces configuration 4, which came through a rollback" in done.stdout


def test_history_and_active_configuration_outlive_control(tmp_path):
    with two_workers(tmp_path) as one:
        one.api("PUT", "/config", one.text("two"), If_Match="*")
        (control,) = one.supervisor.control()
        os.kill(control, signal.SIGKILL)
        eventually(lambda: one.supervisor.control() not in ([], [control]), "it is replaced")
        status, headers, document = eventually(lambda: _try(one, "GET", "/config"), "it answers")
        assert (status, headers["Tidegate-Configuration"]) == (200, "2")
        assert document["routes"][0]["respond"]["body"] == "two"
        assert [entry["number"] for entry in one.api("GET", "/config/history")[2]] == [2, 1]
        one.write("three")
        assert "configuration 3 is active" in one.command("reload").stdout


def _try(one, method, target):
    with contextlib.suppress(OSError, http.client.HTTPException):
        return one.api(method, target)
    return None


def test_worker_that_refuses_keeps_all_on_the_old_one(tmp_path):
    (tmp_path / "moody_filter.py").write_text(MOODY)
    use = '[filters.moody]\nclass = "moody_filter:Moody"\n'
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with two_workers(tmp_path, server='filter_packages = ["moody_filter"]', more=use, PYTHONPATH=path) as one:
        one.more = use + 'mood = "bad"\n'
        one.write("two", 'filters = ["moody"]\n')
        done = one.command("reload")
        assert done.returncode == 1
        assert "worker 0: " in done.stderr or "worker 1: " in done.stderr
        assert "no room for me today" in done.stderr
        assert answers(one) == {"one"}
        assert one.status()["snapshot"]["number"] == 1
        one.more = use
        one.write("three", 'filters = ["moody"]\n')
        assert one.command("reload").returncode == 0
        assert answers(one) == {"three"}


def test_stopped_worker_fails_the_reload_by_its_name(tmp_path):
    with two_workers(tmp_path) as one:
        stopped = one.supervisor.workers()[0]
        stop_signal(stopped)
        one.write("two")
        done = one.command("reload")
        assert done.returncode == 1
        assert f"has neither prepared it nor ended (pid {stopped}, stopped) within 10 s" in done.stderr
        os.kill(stopped, signal.SIGCONT)
        eventually(lambda: all_serve(one, 1), "both serve")
        assert answers(one) == {"one"}
        assert one.command("reload").returncode == 0
        assert answers(one) == {"two"}


def test_killed_workers_are_no_obstacle(tmp_path):
    moment = random.Random(5)
    with two_workers(tmp_path) as one:
        for n in range(2, 6):
            one.write(f"n{n}")
            command = reloading(one)
            killed = threading.Event()
            killed.wait(moment.uniform(0.1, 0.8))  # somewhere on its way
            os.kill(moment.choice(one.supervisor.workers()), signal.SIGKILL)
            output, _ = command.communicate(timeout=60)
            assert command.returncode == 0, output
            eventually(lambda n=n: all_serve(one, n), f"all serve with {n}")
            assert answers(one) == {f"n{n}"}


def test_killed_control_leaves_nothing_half_done(tmp_path):
    moment = random.Random(7)
    with two_workers(tmp_path) as one, Load(one) as load:
        one.write("n0")
        assert one.command("reload").returncode == 0
        load.failures.clear()
        for n in range(1, 5):
            one.write(f"n{n}")
            (control,) = one.supervisor.control()
            command = reloading(one)
            pause = threading.Event()
            pause.wait(moment.uniform(0.2, 0.9))  # somewhere on its way
            with contextlib.suppress(ProcessLookupError):
                os.kill(control, signal.SIGKILL)
            command.communicate(timeout=60)
            eventually(lambda control=control: one.supervisor.control() not in ([], [control]), "it is replaced")
            status = eventually(lambda: _try(one, "GET", "/status"), "it answers")[2]
            number = status["snapshot"]["number"]
            eventually(lambda number=number: all_serve(one, number), f"all serve with {number}")
            assert len(answers(one)) == 1
        assert one.command("reload").returncode == 0
        assert answers(one) == {"n4"}
    assert load.failures == []


def test_ten_reloads_under_load_fail_no_request(tmp_path):
    with two_workers(tmp_path) as one:
        one.write("n0")
        assert one.command("reload").returncode == 0
        with Load(one) as load:
            for n in range(1, 11):
                one.write(f"n{n}")
                _, _, outcome = one.api("POST", "/reload")
                assert outcome["result"] == "active"
                assert answers(one, 4) == {f"n{n}"}
        assert load.failures == []
        assert load.count > 50
        assert len(one.api("GET", "/config/history")[2]) == 12
        # Nothing piles up: one descriptor of a snapshot in the supervisor.
        held = [entry for entry in Path(f"/proc/{one.pid}/fd").iterdir() if "snapshot" in str(entry.readlink())]
        assert len(held) == 1


def test_state_that_cannot_be_written_is_said_once_and_holds_up_nobody(tmp_path):
    with two_workers(tmp_path, server='state_dir = "kept"') as one:
        kept = tmp_path / "kept"
        eventually((kept / "last-good.toml").exists, "it is kept")
        shutil.rmtree(kept)
        kept.write_text("a file is in the way")
        for n in (2, 3):
            one.write(f"n{n}")
            assert one.command("reload").returncode == 0
            assert answers(one) == {f"n{n}"}
        one.supervisor.hear("kind=state_not_written .*configuration 2 is active, but could not be kept")
        kept.unlink()
        one.write("n4")
        assert one.command("reload").returncode == 0
        assert [entry["number"] for entry in one.api("GET", "/config/history")[2]] == [4]
        one.supervisor.signal(signal.SIGTERM)
        assert sum("state_not_written" in line for line in one.supervisor.everything_said()) == 1


def test_new_code_of_a_filter_is_said_to_take_an_upgrade(tmp_path):
    module = tmp_path / "moody_filter.py"
    module.write_text(MOODY)
    os.utime(module, (1, 1))
    use = '[filters.moody]\nclass = "moody_filter:Moody"\n'
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with two_workers(tmp_path, server='filter_packages = ["moody_filter"]', more=use, PYTHONPATH=path) as one:
        done = one.command("reload")
        assert "upgrade" not in done.stderr
        module.write_text(MOODY + "# changed\n")
        done = one.command("reload")
        assert done.returncode == 0
        assert f"{module} was written after the workers started" in done.stderr
        assert psutil.pid_exists(one.pid)
