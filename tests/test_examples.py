"""Every example is tried: its configuration is right, its tests pass."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tidegate

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
CONFIGURATIONS = sorted(path.name for path in EXAMPLES.glob("*.toml"))
TESTS = sorted(path.name for path in EXAMPLES.glob("test_*.py"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A program of the examples' readers, with the examples' directory in PYTHONPATH."""
    places = [str(EXAMPLES), str(Path(tidegate.__file__).parents[1])]
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configuration_has_no_findings(name: str) -> None:
    checked = run("-m", "tidegate", "check", f"examples/{name}")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "warning" not in checked.stdout.lower() + checked.stderr.lower()


def test_tests_of_the_examples_pass() -> None:
    tested = run("-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"examples/{name}" for name in TESTS))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_filter_of_the_examples_has_a_configuration_and_a_test() -> None:
    for path in EXAMPLES.glob("*.py"):
        if not path.name.startswith("test_"):
            assert f"{path.stem}.toml" in CONFIGURATIONS
            assert f"test_{path.name}" in TESTS
