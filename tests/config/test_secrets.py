"""Secrets by reference."""

from pathlib import Path

import pytest

from tidegate.config.secrets import is_reference, reveal


def test_variable_is_revealed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_TEST_SECRET", "hunter2")
    assert reveal("env:TIDEGATE_TEST_SECRET") == "hunter2"


@pytest.mark.parametrize(("text", "secret"), [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a", " a"), ("", "")])
def test_file_is_revealed_without_its_final_newline(text: str, secret: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(text.encode())
    assert reveal(f"file:{file}") == secret


def test_what_is_no_reference_is_itself() -> None:
    assert not is_reference("hunter2")
    assert reveal("hunter2") == "hunter2"


def test_missing_secret_is_told_without_its_value(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="TIDEGATE_TEST_NO_SUCH_VARIABLE is not set"):
        reveal("env:TIDEGATE_TEST_NO_SUCH_VARIABLE")
    with pytest.raises(ValueError, match="No such file"):
        reveal(f"file:{tmp_path / 'missing'}")
    (tmp_path / "binary").write_bytes(b"\xff\xfehunter2")
    with pytest.raises(ValueError, match="not UTF-8 text") as error:
        reveal(f"file:{tmp_path / 'binary'}")
    assert "hunter2" not in str(error.value)
