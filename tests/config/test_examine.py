"""What the checking child says of a text beside the one that is active."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.config.gateways import PLAIN

from tidegate.config.check import check
from tidegate.config.child import Active, Checked, CheckOrder
from tidegate.config.examine import examine_order

SECRET = '[filters.staff]\nclass = "tidegate.filters.basic_auth:BasicAuth"\nusers = {{ ann = "{}" }}\n'
ENTRY = "scrypt:14:8:1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def active(directory: Path, text: str, **more: Any) -> Active:
    path = directory / "gateway.toml"
    path.write_text(text)
    snapshot, findings = check(path, number=3)
    assert findings == [] and snapshot is not None
    return Active(snapshot=snapshot.without_routes(), text=text, **more)


def examined(directory: Path, text: str, known: Active, **more: Any) -> Checked:
    order = CheckOrder(
        text=text, name="gateway.toml", directory=str(directory), number=4, active=known, mask_key=b"k", **more
    )
    return examine_order(order)[1]


def test_other_spelling_of_the_same_is_the_same(tmp_path: Path) -> None:
    known = active(tmp_path, PLAIN)
    assert examined(tmp_path, "# a comment\n" + PLAIN, known).verdict == "same"
    assert examined(tmp_path, PLAIN + 'timeout = "9s"\n', known).verdict == "new"


def test_difference_is_told_by_value(tmp_path: Path) -> None:
    checked = examined(tmp_path, PLAIN + 'timeout = "9s"\n', active(tmp_path, PLAIN))
    assert '+   "timeout": "9s"' in checked.difference
    assert checked.difference.startswith("--- configuration 3\n+++ configuration 4\n")


def test_changed_file_behind_the_same_text_is_new(tmp_path: Path) -> None:
    (tmp_path / "ann").write_text(ENTRY)
    text = PLAIN + SECRET.format("file:ann")
    known = active(tmp_path, text)
    assert examined(tmp_path, text, known).verdict == "same"
    os.utime(tmp_path / "ann", (1, 1))
    assert examined(tmp_path, text, known).verdict == "files"


def test_secrets_are_shown_as_digests_and_may_be_sent_back_so(tmp_path: Path) -> None:
    known = active(tmp_path, PLAIN + SECRET.format(ENTRY))
    shown = examined(tmp_path, known.text, known).shown
    assert ENTRY not in shown and '"ann": "digest:' in shown
    back = examined(tmp_path, shown, known, is_yaml=True, is_from_api=True)
    assert back.verdict == "same"
    assert back.snapshot is not None and ENTRY in back.snapshot.source_text


def test_without_a_text_what_is_active_is_shown(tmp_path: Path) -> None:
    known = active(tmp_path, PLAIN + SECRET.format(ENTRY))
    order = CheckOrder(text=None, name="", directory="", active=known, mask_key=b"k")
    assert examine_order(order)[1].shown == examined(tmp_path, known.text, known).shown


def test_code_written_after_the_workers_started_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    module = tmp_path / "newer_code_filter.py"
    module.write_text("import tidegate\nclass A(tidegate.Filter):\n    pass\n")
    text = PLAIN + '[server]\nfilter_packages = ["newer_code_filter"]\n'
    text += '[filters.a]\nclass = "newer_code_filter:A"\n'
    written_s = module.stat().st_mtime
    checked = examined(tmp_path, text, active(tmp_path, text, workers_since_s=written_s - 1))
    assert checked.newer_code == [str(module)]
    assert [finding.severity for finding in checked.findings] == ["warning"]
    assert "takes an upgrade" in checked.findings[0].message
    assert examined(tmp_path, text, active(tmp_path, text, workers_since_s=written_s + 1)).findings == []
