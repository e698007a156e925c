"""Benchmarks in namespaces of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.apart import run_apart


def apart(prepare: str) -> int | None:
    return run_apart("--list", [], spaces=["--net"], prepare=prepare, marker="TIDEGATE_TEST_APART")


def test_a_benchmark_runs_apart_after_its_preparation_and_its_exit_code_is_told(tmp_path: Path) -> None:
    code = apart(f'ls -d "$0" >> {tmp_path / "places"} && cp /proc/net/dev {tmp_path / "devices"}')
    if code is None:
        pytest.skip("no namespace may be made here")
    assert code == 0
    places = (tmp_path / "places").read_text().split()
    assert len(places) == 2 and len(set(places)) == 1, "tried once, then run"
    assert not Path(places[0]).exists()
    devices = [line.split(":")[0].strip() for line in (tmp_path / "devices").read_text().splitlines()[2:]]
    assert "lo" in devices and "eth0" not in devices


def test_where_the_preparation_fails_nothing_is_run() -> None:
    assert apart("false") is None


def test_where_there_is_no_unshare_nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert apart("true") is None
