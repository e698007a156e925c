"""The script everybody works with, as far as it can be tried without setting up a second environment."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERBS = ["run", "test", "check", "bench", "build", "clean"]


def dev(*arguments: str, cwd: Path = ROOT, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": path if path is not None else os.environ["PATH"]}
    return subprocess.run(
        ["/bin/sh", str(cwd / "dev"), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_usage_names_every_verb(arguments: tuple[str, ...]) -> None:
    run = dev(*arguments)
    assert run.returncode == 0
    assert re.findall(r"^  (\w+) ", run.stdout, re.MULTILINE) == VERBS


def test_unknown_verb_is_a_usage_error() -> None:
    run = dev("biuld")
    assert run.returncode == 2
    assert "'biuld'" in run.stderr
    assert run.stdout == ""


def test_machine_without_python_is_told_what_to_install(tmp_path: Path) -> None:
    """Nothing is on PATH here but what the script itself calls, so that even apt-get is missing."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("dirname", "cat", "cksum", "mkdir"):
        found = shutil.which(tool)
        assert found
        (tools / tool).symlink_to(found)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("dev", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, checkout)
    run = dev("build", cwd=checkout, path=str(tools))
    assert run.returncode == 1
    assert "no Python 3.11 or newer" in run.stderr
    assert "python3-venv" in run.stderr
    assert run.stderr.splitlines()[-1] == "dev: failed at: set-up"


def test_ci_runs_what_a_person_runs() -> None:
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert lines == ['cd "$(dirname "$0")/.." && exec ./dev test']


@pytest.mark.slow
def test_source_archive_holds_all_that_a_build_needs(tmp_path: Path) -> None:
    # A copy, so that two runs at once do not write one file list.
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__"))
    wanted = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    subprocess.run([sys.executable, "setup.py", "-q", "sdist"], cwd=tmp_path, check=True, capture_output=True)
    (archive,) = (tmp_path / "dist").glob("tidegate-*.tar.gz")
    with tarfile.open(archive) as tar:
        held = {name.split("/", 1)[1] for name in tar.getnames() if "/" in name}
    assert wanted - held == set()
    assert [name for name in held if name.startswith("build/") or name.endswith((".c", ".so"))] == []
