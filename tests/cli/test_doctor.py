import json
import socket

import pytest
from tests.cli.command import configuration, tidegate
from tests.process.gateway import supervised
from tests.redis.servers import free_port
from typer.testing import CliRunner

from tidegate.cli.app import app
from tidegate.cli.doctor import _shown
from tidegate.doctor.finding import Finding, Unseen
from tidegate.doctor.report import Report


def run(*arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEGATE_RUNTIME_DIR", str(tmp_path / "run"))
    return CliRunner().invoke(app, ["doctor", "--for", "0s", *map(str, arguments)])


def report(monkeypatch, *said):
    monkeypatch.setattr("tidegate.doctor.examination.examine", lambda *_, **__: Report.of(said, ["ports"]))


FINDING = Finding(
    check="ports",
    severity="warning",
    subject="a\x1b[31m",
    seen="seen [bold]",
    why="why",
    mend="sysctl",
    incident="ports",
)


def test_findings_are_told_with_their_remedy_and_nothing_moves_the_cursor(tmp_path, monkeypatch):
    report(monkeypatch, FINDING, Unseen("wire", "hidden"))
    done = run(tmp_path=tmp_path, monkeypatch=monkeypatch)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "warning a\\x1b[31m: seen [bold]"
    assert lines[1].startswith("  why   why [ports: ") and lines[2] == "  mend  sysctl"
    assert lines[3:] == ["could not look at wire: hidden", "1 checks: 1 warning"]
    assert "\x1b" not in done.stdout


def test_something_serious_is_exit_code_1(tmp_path, monkeypatch):
    import dataclasses

    report(monkeypatch, dataclasses.replace(FINDING, severity="serious"))
    assert run(tmp_path=tmp_path, monkeypatch=monkeypatch).exit_code == 1
    assert run("--json", tmp_path=tmp_path, monkeypatch=monkeypatch).exit_code == 1


def test_json_is_the_whole_report(tmp_path, monkeypatch):
    report(monkeypatch, FINDING)
    document = json.loads(run("--json", tmp_path=tmp_path, monkeypatch=monkeypatch).stdout)
    assert document["counts"] == {"serious": 0, "warning": 1, "note": 0}


def test_without_a_gateway_and_a_file_the_machine_is_looked_at(tmp_path, monkeypatch):
    document = json.loads(run("--json", tmp_path=tmp_path, monkeypatch=monkeypatch).stdout)
    assert "configuration" in [one["check"] for one in document["could_not_look"]]
    assert not any("no sense" in one["why"] for one in document["could_not_look"])


def test_a_file_that_is_not_valid_is_exit_code_3(tmp_path, monkeypatch):
    (tmp_path / "gateway.toml").write_text("[server]\nworkers = 0\n")
    done = run(tmp_path / "gateway.toml", tmp_path=tmp_path, monkeypatch=monkeypatch)
    assert done.exit_code == 3 and "server.workers" in done.output


@pytest.mark.parametrize("duration", ["x", "2h"])
def test_a_duration_that_is_none_is_wrong_usage(tmp_path, monkeypatch, duration):
    monkeypatch.setenv("TIDEGATE_RUNTIME_DIR", str(tmp_path))
    assert CliRunner().invoke(app, ["doctor", "--for", duration]).exit_code == 2


def test_runtime_directory_of_somebody_else_is_said(tmp_path, monkeypatch):
    from tidegate.process.failure import StartError

    def refuse(_):
        raise StartError("belongs to another user")

    monkeypatch.setattr("tidegate.process.runtime_directory.find_running", refuse)
    document = json.loads(run("--json", tmp_path=tmp_path, monkeypatch=monkeypatch).stdout)
    assert {"check": "running-gateway", "why": "belongs to another user"} in document["could_not_look"]


def test_what_is_shown_is_one_line_of_text():
    assert _shown("a\nb\tc\u202e") == "a\\nb\\tc\\u202e"


@pytest.mark.e2e
def test_a_running_gateway_is_asked(tmp_path):
    """Without a file: the test's gateway has none, which is said; its figures are there all the same."""
    environment = {"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")}
    with supervised(workers=1, has_control=True, runtime_dir=tmp_path / "run") as gateway:
        gateway.wait_ready()
        done = tidegate("doctor", "--live", "--for", "100ms", "--json", environment=environment, timeout=120)
        document = json.loads(done.stdout)
        unseen = {one["check"]: one["why"] for one in document["could_not_look"]}
        assert "runs without a file" in unseen["configuration"]
        assert not {"saturation", "running-gateway"} & unseen.keys()
        assert done.returncode == int(document["serious"])


@pytest.mark.e2e
def test_a_file_finds_the_gateway_that_runs_it_or_does_without(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        text = configuration(free_port(), free_port())
        text += (
            f'[upstreams.a]\nendpoints = ["127.0.0.1:{upstream.getsockname()[1]}"]\npool = {{ max = 400, idle = 10 }}\n'
        )
        text += '[[routes]]\nname = "a"\npath = "/a"\nupstream = "a"\n'
        (tmp_path / "gateway.toml").write_text(text)
        environment = {"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")}
        done = tidegate("doctor", tmp_path / "gateway.toml", "--for", "0s", environment=environment, timeout=120)
        assert "warning upstreams.a.pool.idle: 10 connections are kept, 400 may be opened" in done.stdout
        assert "no gateway with this configuration runs" in done.stdout
