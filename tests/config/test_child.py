"""Checking in a process of its own gives what checking here gives, and survives what modules of filters do."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.config.gateways import PLAIN

from tidegate.config import child
from tidegate.config.check import check_text
from tidegate.config.child import Checked, CheckOrder, check_apart
from tidegate.config.snapshot import Snapshot

FILTER = '[server]\nfilter_packages = ["{0}"]\n[filters.a]\nclass = "{0}:A"\n'


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def check(text: str, directory: Path, fd: int = -1, timeout_s: float = 50.0) -> Checked:
    order = CheckOrder(text=text, name="gateway.toml", directory=str(directory), number=7)
    return asyncio.run(check_apart(order, fd, timeout_s=timeout_s))


def test_same_snapshot_and_findings(directory: Path) -> None:
    for text in (PLAIN, PLAIN + "x = 1\n", "not TOML"):
        fd = os.memfd_create("snapshot")
        checked = check(text, directory, fd)
        here, findings = check_text(text, directory=directory, number=7)
        assert checked.findings == findings
        if here is None:
            assert (checked.verdict, checked.snapshot, os.fstat(fd).st_size) == ("invalid", None, 0)
        else:
            there = Snapshot.decode(os.pread(fd, 1 << 20, 0))
            assert (there.gateway, there.etag, there.number, there.source_text) == (here.gateway, here.etag, 7, text)
            assert checked.snapshot is not None
            assert (checked.snapshot.etag, checked.snapshot.gateway.routes) == (here.etag, ())
        os.close(fd)


def test_module_that_prints_spoils_nothing(directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (directory / "noisy_filter.py").write_text('print("hello")\n')
    findings = check(PLAIN + FILTER.format("noisy_filter"), directory).findings
    assert [finding.message for finding in findings] == ["noisy_filter has no class A"]
    assert capfd.readouterr() == ("", "hello\n")


def test_module_that_kills_its_process_is_a_finding(directory: Path) -> None:
    (directory / "deadly_filter.py").write_text("import os\nos._exit(9)\n")
    checked = check(PLAIN + FILTER.format("deadly_filter"), directory)
    assert checked.snapshot is None
    assert [finding.message for finding in checked.findings] == ["could not be checked: the checker ended with 9"]


def test_module_that_hangs_is_a_finding(directory: Path) -> None:
    (directory / "hanging_filter.py").write_text("import threading\nthreading.Event().wait()\n")
    checked = check(PLAIN + FILTER.format("hanging_filter"), directory, timeout_s=3)
    assert "could not be checked within 3 s" in checked.findings[0].message


def test_child_stands_back_for_who_serves(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = []
    lower = os.sched_setscheduler

    def lowered(pid: int, policy: int, parameter: os.sched_param) -> None:
        lower(pid, policy, parameter)
        policies.append(os.sched_getscheduler(pid))

    monkeypatch.setattr(os, "sched_setscheduler", lowered)
    assert check(PLAIN, directory).findings == []
    assert policies == [os.SCHED_IDLE]


def test_child_that_hardly_comes_to_run_is_begun_anew_as_one_among_all(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "starving_filter.py").write_text("import os\nassert os.sched_getscheduler(0) != os.SCHED_IDLE\n")
    looked_at = []
    monkeypatch.setattr(child, "_schedstat", lambda pid: looked_at.append(pid) or "5 900000000 3")
    findings = check(PLAIN + FILTER.format("starving_filter"), directory).findings
    assert [finding.message for finding in findings] == ["starving_filter has no class A"]
    assert len(looked_at) == 1


@pytest.mark.parametrize(
    ("schedstat", "starves"),
    [
        ("100000000 250000001 7", True),
        ("300000000 250000001 7", False),  # it runs more than it waits
        ("1000 2000 7", False),  # too early to tell
        ("", False),
    ],
)
def test_who_waits_longer_than_he_runs_starves(schedstat: str, starves: bool) -> None:
    assert child._starves(schedstat) is starves
