import json
import os
import socket
import subprocess

import pytest
from tests.cli.command import tidegate
from tests.e2e.test_configuration import gateway
from tests.process.gateway import supervised
from tests.process.other_user import interpreter, needs_root, nobody
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
def test_a_running_gateway_is_looked_at_with_its_file_and_its_connections(tmp_path):
    """Without a file on the command line, and with one that other gateways might have."""
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        more = f'[upstreams.a]\nendpoints = ["127.0.0.1:{upstream.getsockname()[1]}"]\n'
        more += "pool = { max = 400, idle = 10 }\n"
        more += '[[routes]]\nname = "a"\npath = "/a"\nupstream = "a"\n'
        with gateway(tmp_path, more=more) as running:
            done = running.command("doctor", "--live", "--for", "100ms", "--json")
            document = json.loads(done.stdout)
            assert done.returncode == int(document["serious"]), done.stderr
            unseen = {one["check"] for one in document["could_not_look"]}
            assert not {"configuration", "running-gateway", "saturation", "pool-size"} & unseen
            assert "upstreams.a.pool.idle" in {one["subject"] for one in document["findings"]}
            assert "upstream a" in {one["name"] for one in document["directions"]}
            (tmp_path / "link.toml").symlink_to(running.path)
            told = running.command("doctor", tmp_path / "link.toml", "--for", "0s").stdout
            assert "could not look at saturation" not in told, "it is the gateway that runs this file"
            another = tmp_path / "another.toml"
            another.write_text(running.path.read_text())
            told = running.command("doctor", another, "--for", "0s").stdout
            assert "warning upstreams.a.pool.idle: 10 connections are kept, 400 may be opened" in told
            assert "no gateway with this configuration runs" in told


@pytest.mark.e2e
def test_a_gateway_that_has_no_file_is_said(tmp_path):
    environment = {"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")}
    with supervised(workers=1, has_control=True, runtime_dir=tmp_path / "run") as running:
        running.wait_ready()
        done = tidegate("doctor", "--for", "0s", environment=environment, timeout=120)
        assert "could not look at configuration" in done.stdout and "runs without a file" in done.stdout


@needs_root
@pytest.mark.e2e
def test_whoever_is_not_root_is_told_the_same():
    python, environment = interpreter()
    done = subprocess.run(
        [python, "-m", "tidegate", "doctor", "--live", "--for", "0s", "--json"],
        env={**os.environ, **environment, "TIDEGATE_RUNTIME_DIR": "/nonexistent", "HOME": "/"},
        user=nobody().pw_uid,
        group=nobody().pw_gid,
        extra_groups=[],
        cwd="/",
        check=False,
        capture_output=True,
        timeout=120,
    )
    document = json.loads(done.stdout)
    assert done.returncode == int(document["serious"]) and done.stderr == b""
    assert not [one for one in document["could_not_look"] if "no sense" in one["why"] or "refuse" in one["why"]]
    assert "directions" in document["looked"], "sockets are listed without a privilege"
