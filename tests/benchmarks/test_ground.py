import os
import shutil
import subprocess
from pathlib import Path

import pytest
from benchmarks.contenders import KNOWN, make
from benchmarks.ground import PREFIX, Session, sweep


def test_what_a_killed_session_left_is_removed_and_no_other(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left, own, foreign = (tmp_path / f"{PREFIX}{name}" for name in (f"{gone.pid}-a", f"{os.getpid()}-b", "notes"))
    for directory in (left, own, foreign):
        directory.mkdir()
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([own, foreign])


def test_unknown_contender_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="no contender 'ngnix'; there are nginx"):
        make("ngnix")


def test_each_known_contender_carries_its_name() -> None:
    assert [make(name).name for name in KNOWN] == list(KNOWN)


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler for the upstream")
def test_a_session_leaves_neither_processes_nor_files() -> None:
    with Session() as session:
        assert session.start(["relay", "direct"]) == ["relay", "direct"]
        pids = [*session.contenders["relay"].pids, *session.upstream_pids]
        assert len(pids) == 2
        assert session.start(["direct"]) == ["direct"]
        assert not Path(f"/proc/{pids[0]}").exists(), "who is not asked for is stopped"
    assert not session.directory.exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler for the upstream")
def test_stopping_who_needs_no_directory_leaves_the_users_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").write_text("of a day")
    monkeypatch.chdir(tmp_path)
    with Session() as session:
        assert session.start(["direct"]) == ["direct"]
        assert session.start([]) == []
    assert (tmp_path / "work").read_text() == "of a day"
