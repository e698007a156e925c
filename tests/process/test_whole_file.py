"""What is written is there whole, or what was there before is."""

import os
import stat
from pathlib import Path

import pytest

from tidegate.process.whole_file import write_whole


def test_it_replaces_what_was_there_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content in (b"one", b"other" * 100_000):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_whole(path, b"one")

    def full(fd: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"two")
    assert path.read_bytes() == b"one"
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]
