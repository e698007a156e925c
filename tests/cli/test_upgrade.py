import os
import sys
from pathlib import Path

import pytest
from tests.cli.command import tidegate
from tests.process.upgradable import copy_of_the_program, upgradable

import tidegate as tidegate_package

pytestmark = pytest.mark.e2e


def test_upgrade_says_what_serves_now(tmp_path):
    environment = {"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")}
    with upgradable(tmp_path) as it:
        done = tidegate("upgrade", environment=environment, timeout=90)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("tidegate: generation 2 serves, version ")
        shown = tidegate("status", environment=environment).stdout
        assert "generation 2" in shown
        it.until_only(2)
        # Another interpreter says itself where it looks for modules; the echo that serves here is below `tests`.
        place = os.pathsep.join([str(Path(tidegate_package.__file__).parents[1]), str(Path(__file__).parents[2])])
        arguments = ["upgrade", "--python", sys.executable, "--python-path", place]
        done = tidegate(*arguments, environment=environment, timeout=90)
        assert done.stdout.startswith("tidegate: generation 3 serves"), done.stderr


def test_upgrade_that_fails_says_why_and_exits_with_1(tmp_path):
    environment = {"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")}
    place = copy_of_the_program(tmp_path, {"process/worker": "raise RuntimeError('no tide today')"})
    with upgradable(tmp_path) as it:
        done = tidegate("upgrade", "--python-path", place, environment=environment, timeout=90)
        assert done.returncode == 1
        assert "not upgraded: " in done.stderr
        assert "no tide today" in done.stderr
        assert it.status()["generation"] == 1


def test_interpreter_that_does_not_run_is_told_at_once(tmp_path):
    environment = {"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")}
    with upgradable(tmp_path):
        done = tidegate("upgrade", "--python", tmp_path / "python", environment=environment)
        assert done.returncode == 1
        assert "is no interpreter that runs" in done.stderr
