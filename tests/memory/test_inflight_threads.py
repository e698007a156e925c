"""The C of ``memory/inflight.h`` under threads: nothing is read or written without order, no limit is exceeded."""

import os
import subprocess
from pathlib import Path

import pytest
from benchmarks.limits.compiled import build
from tests.memory.thread_sanitizer import launcher

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        os.environ.get("TIDEGATE_SANITIZE") == "1",
        reason="its program is its own build, and the same beside every other",
    ),
]

SOURCE = Path(__file__).with_name("inflight_threads.c")
HEADER = Path(__file__).parents[2] / "src/tidegate/memory/inflight.h"


def run(program, rounds, prefix=()):
    return subprocess.run(
        [*prefix, str(program), "4", str(rounds)], capture_output=True, text=True, timeout=240, check=False
    )


def test_threads_exceed_no_limit_and_leave_no_row(tmp_path):
    ended = run(build(SOURCE, tmp_path), 50_000)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
def test_thread_sanitizer_finds_nothing(tmp_path):
    prefix = launcher(tmp_path)
    ended = run(build(SOURCE, tmp_path, "-g", "-fsanitize=thread"), 20_000, prefix)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("int is_gone = !permit_keep(view, row, permit_live(fingerprint));", "int is_gone = 0;"),
        ("int64_t rival = permit_rival(view, &places, fingerprint, own);", "int64_t rival = -1;"),
        ("if (held->total > rules->maximum)", "if (held->total > rules->maximum + 1)"),
    ],
)
def test_without_a_rule_two_have_what_one_may_have(tmp_path, rule, broken):
    """Shows that the tests before can fail."""
    ours = HEADER.read_text()
    assert ours.count(rule) == 1
    (tmp_path / "tidegate/memory").mkdir(parents=True)
    (tmp_path / "tidegate/memory/inflight.h").write_text(ours.replace(rule, broken))
    program = build(SOURCE, tmp_path, "-w", headers=tmp_path)
    assert any("broken 0" not in run(program, 100_000).stdout for _ in range(10))
