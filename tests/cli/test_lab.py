"""``tidegate lab sim``: what it plays, prints and draws."""

import json

from tests.cli.command import tidegate

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
