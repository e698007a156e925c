import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from tests.cli.command import tidegate

from tidegate import __version__
from tidegate.cli import app

ROOT = Path(__file__).parents[2]


def test_version_is_the_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    done = tidegate("--version")
    assert (done.returncode, done.stdout) == (0, f"tidegate {project['version']}\n")
    assert project["version"] == __version__


def test_without_a_verb_it_says_which_there_are():
    done = tidegate()
    for verb in ("run", "check", "status", "stop", "quickstart"):
        assert verb in done.stdout + done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize("arguments", [["flood"], ["run"], ["check", "--jsn"], ["stop", "--pid", "x"], ["check"]])
def test_wrong_usage_is_2_and_no_traceback(arguments):
    done = tidegate(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("verb", ["run", "check", "status", "stop", "quickstart"])
def test_each_verb_explains_itself(verb):
    done = tidegate(verb, "--help")
    assert done.returncode == 0
    assert "Usage: tidegate" in done.stdout


def test_what_nobody_expected_is_one_line_with_its_place(monkeypatch, capsys):
    broken = typer.Typer()

    @broken.command()
    def _break():
        raise RuntimeError("the tide turned")

    monkeypatch.setattr(app, "app", broken)
    assert app.main([]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("tidegate: RuntimeError: the tide turned (")
    assert captured.err.count("\n") == 1
    assert "test_app.py:" in captured.err


def test_ctrl_c_is_1_and_silent(monkeypatch, capsys):
    broken = typer.Typer()

    @broken.command()
    def _interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "app", broken)
    assert app.main([]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_has_enough_is_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", "check", "--schema"], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_heavy_packages_are_loaded_by_the_verbs_that_need_them():
    look = "import sys, tidegate.cli.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "fastapi", "uvicorn", "uvloop", "asyncio"} & set(loaded)
