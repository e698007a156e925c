"""Reading files: what cannot be read is a finding, whatever it is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.check import check, check_text
from tidegate.config.load import load, load_text


def test_missing_file_is_a_finding_without_a_line(tmp_path: Path) -> None:
    source = load(tmp_path / "missing.toml")
    assert [str(finding) for finding in source.findings] == [
        f"{tmp_path}/missing.toml: cannot be read: No such file or directory"
    ]
    assert source.tree is None


@pytest.mark.parametrize("name", ["", "gateway\0.toml"])
def test_what_is_no_file_is_a_finding(name: str, tmp_path: Path) -> None:
    snapshot, findings = check(tmp_path / name)
    assert snapshot is None and "cannot be read" in findings[0].message


def test_unreadable_text_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_bytes(b'[server]\nadmin = "\xff"\n')
    assert [(f.line, f.message) for f in load(file).findings] == [(2, "is not UTF-8 text")]


def test_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_bytes(b"\xef\xbb\xbf[server]\r\nworkers = 2\r\n")
    source = load(file)
    assert (source.tree, source.findings) == ({"server": {"workers": 2}}, [])


@pytest.mark.parametrize(
    ("name", "text"), [("a.yaml", "a: 1"), ("a.YML", "a: 1"), ("a.toml", "a = 1"), ("a.conf", "a = 1")]
)
def test_name_says_the_format(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert load(tmp_path / name).tree == {"a": 1}


def test_position_is_that_of_the_nearest_table() -> None:
    source = load_text("[a]\nb = 1\n", file="x")
    assert source.position(("a", "b", "c")) == (2, 1)
    assert source.position(("a", "x")) == (1, 1)
    assert source.position(("z",)) == (1, 1)


def test_endless_file_is_not_read_to_its_end() -> None:
    source = load(Path("/dev/zero"))
    assert source.tree is None and "is larger than 64 MiB" in source.findings[0].message


TOML = st.text(alphabet="[]{}=.\"'#\n ab1-:,\\\t\r\0\u2028é", max_size=60)


@given(TOML, st.booleans())
def test_any_text_gives_findings_or_a_snapshot_and_never_raises(text: str, is_yaml: bool) -> None:
    snapshot, findings = check_text(text, is_yaml=is_yaml)
    assert (snapshot is None) == any(finding.severity == "error" for finding in findings)


@given(st.binary(max_size=60))
def test_any_bytes_give_findings_or_a_tree(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(data)
    source = load(file)
    assert source.tree is not None or source.findings
