"""Filter classes under check; cases/filters.toml has the ways in which they can be wrong."""

import sys
from pathlib import Path

import pytest
from tests.config.gateways import PLAIN, told

BEFORE = '[server]\nfilter_packages = ["good", "package.inner"]\n'


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("target", "is_allowed"),
    [
        ("good:A", True),
        ("good.sub:A", True),
        ("package.inner:A", True),
        ("package.inner.deep:A", True),
        ("package:A", False),
        ("package.other:A", False),
        ("goodness:A", False),
        ("os:A", False),
        ("tidegate.config.check:A", False),
        ("tidegate.filters_evil:A", False),
    ],
)
def test_classes_come_only_from_allowed_packages(target: str, is_allowed: bool) -> None:
    before = set(sys.modules)
    (finding,) = told(PLAIN + BEFORE + f'[filters.a]\nclass = "{target}"\n')
    assert ("is in no allowed package" in finding) == (not is_allowed)
    if not is_allowed:
        assert set(sys.modules) == before, "nothing is imported to find out"


def test_missing_dependency_of_a_module_is_told_with_its_place(modules: Path) -> None:
    (modules / "good.py").write_text("\n\nimport no_such_dependency\n")
    sys.modules.pop("good", None)
    (finding,) = told(PLAIN + BEFORE + '[filters.a]\nclass = "good:A"\n')
    assert "good cannot be imported: ModuleNotFoundError: No module named 'no_such_dependency'" in finding
    assert "good.py:3)" in finding


def test_syntax_error_of_a_module_is_a_finding(modules: Path) -> None:
    (modules / "good.py").write_text("def :\n")
    sys.modules.pop("good", None)
    (finding,) = told(PLAIN + BEFORE + '[filters.a]\nclass = "good:A"\n')
    assert "good cannot be imported: SyntaxError" in finding
