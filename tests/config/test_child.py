"""Checking in a process of its own gives what checking here gives, and survives what modules of filters do."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.config.gateways import PLAIN

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
