"""Checking in a process of its own gives what checking here gives, and survives what modules of filters do."""

import sys
from pathlib import Path

import pytest
from tests.config.gateways import PLAIN

from tidegate.config.check import check
from tidegate.config.child import check_apart

FILTER = '[server]\nfilter_packages = ["{0}"]\n[filters.a]\nclass = "{0}:A"\n'


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", ":".join([str(tmp_path), *filter(None, sys.path)]))
    return tmp_path


def test_same_snapshot_and_findings(directory: Path) -> None:
    for name, text in (("good.toml", PLAIN), ("bad.toml", PLAIN + "x = 1\n"), ("missing.toml", None)):
        if text is not None:
            (directory / name).write_text(text)
        assert check_apart(directory / name, number=7) == check(directory / name, number=7)


def test_module_that_prints_spoils_nothing(directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (directory / "noisy_filter.py").write_text('print("hello")\n')
    (directory / "gateway.toml").write_text(PLAIN + FILTER.format("noisy_filter"))
    _, findings = check_apart(directory / "gateway.toml")
    assert [finding.message for finding in findings] == ["noisy_filter has no class A"]
    assert capfd.readouterr() == ("", "hello\n")


def test_module_that_kills_its_process_is_a_finding(directory: Path) -> None:
    (directory / "deadly_filter.py").write_text("import os\nos._exit(9)\n")
    (directory / "gateway.toml").write_text(PLAIN + FILTER.format("deadly_filter"))
    snapshot, findings = check_apart(directory / "gateway.toml")
    assert snapshot is None
    assert [finding.message for finding in findings] == ["could not be checked: the checker ended with 9"]


def test_module_that_hangs_is_a_finding(directory: Path) -> None:
    (directory / "hanging_filter.py").write_text("import threading\nthreading.Event().wait()\n")
    (directory / "gateway.toml").write_text(PLAIN + FILTER.format("hanging_filter"))
    _, findings = check_apart(directory / "gateway.toml", timeout_s=3)
    assert "could not be checked within 3 s" in findings[0].message
