"""Real processes, stopped and killed, and threads under ThreadSanitizer, that use one table of cells at once.

``cells_race.c`` is compiled and asked; time in it is virtual, so what has to come out does not depend on the machine.
"""

import os
import subprocess
from pathlib import Path

import pytest
from benchmarks.limits.compiled import RACE, build
from tests.memory.thread_sanitizer import launcher

pytestmark = pytest.mark.skipif(
    os.environ.get("TIDEGATE_SANITIZE") == "1", reason="its program is its own build, and the same beside every other"
)

ROOT = Path(__file__).parents[2]
SECONDS = "2"  # then it ends with what it had: on a busy machine two processes seldom run at once


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    return build(RACE, tmp_path_factory.mktemp("processes"))


def asked(program: Path, *words: str, prefix: tuple[str, ...] = ()) -> dict[str, int]:
    run = subprocess.run([*prefix, str(program), *words], capture_output=True, text=True, timeout=55, check=False)
    assert run.returncode == 0, run.stderr
    told = run.stdout.split()
    return dict(zip(told[::2], map(int, told[1::2]), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("burst", [0, 5])
def test_two_processes_that_meet_new_keys_let_exactly_burst_and_one_pass(processes, burst):
    said = asked(processes, "births", "2", f"{burst}", "4000", "20000", SECONDS)
    assert said["keys"] > 0
    assert (said["over"], said["under"], said["contended"], said["evictions"]) == (0, 0, 0, 0)


@pytest.mark.slow
def test_new_keys_are_charged_exactly_in_a_full_table(processes):
    said = asked(processes, "births", "2", "3", "16", "20000", SECONDS)
    assert said["keys"] > 0
    assert (said["over"], said["under"], said["contended"]) == (0, 0, 0)
    assert said["evictions"] >= said["keys"] - 2 * 16 * 8


def test_four_processes_that_hammer_one_key_admit_what_the_rate_says(processes):
    said = asked(processes, "hammer", "4", "1000", "50", "0.5")
    assert said["tries"] > 500_000
    ideal = 50 + 1 + 500
    assert ideal * 0.995 <= said["admitted"] <= ideal + 1
    assert said["contended"] == 0


def test_four_processes_fill_each_window_of_a_quota_and_none_over(processes):
    said = asked(processes, "quota", "4", "37", "200")
    assert (said["windows"], said["over"]) == (200, 0)
    assert said["full"] >= 198, "a window is missed only by processes that all stood still in it"


@pytest.mark.slow
def test_nothing_is_charged_twice_or_lost_by_processes_that_are_stopped_and_killed(processes):
    said = asked(processes, "deaths", "4", "3", "40", "7")
    assert said["keys"] > 0 and said["killed"] > 0
    assert (said["over"], said["evictions"], said["contended"]) == (0, 0, 0)
    assert said["missing"] <= said["killed"], "only what the killed had charged and not yet counted"


@pytest.mark.slow
def test_the_race_is_lost_without_the_look_at_the_other_cells(tmp_path):
    """Shows that the test before can fail: it finds keys that pass too often as soon as one rule is gone."""
    ours = (ROOT / "src/tidegate/memory/cells.h").read_text()
    last = "return table_is_alone(t, key, kind, at, *seen) ? at : NULL;"
    assert ours.count(last) == 1
    (tmp_path / "tidegate/memory").mkdir(parents=True)
    (tmp_path / "tidegate/memory/cells.h").write_text(ours.replace(last, "return at;"))
    program = build(RACE, tmp_path, "-Wno-unused-function", headers=tmp_path)
    assert any(asked(program, "deaths", "4", "3", "20", f"{seed}")["over"] for seed in range(10))


@pytest.fixture(scope="module")
def threads(tmp_path_factory):
    """(program, what to start it with)."""
    folder = tmp_path_factory.mktemp("threads")
    prefix = launcher(folder)
    return build(RACE, folder, "-g", "-DTHREADS", "-fsanitize=thread"), prefix


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("births", "3", "2", "2000", "2000", SECONDS),
        ("births", "3", "2", "4", "2000", SECONDS),
        ("hammer", "3", "1000", "50", "0.05"),
        ("quota", "3", "20", "10"),
    ],
)
def test_thread_sanitizer_finds_no_race(threads, words):
    program, prefix = threads
    said = asked(program, *words, prefix=prefix)
    assert said.get("over", 0) == 0
    assert said.get("tries", 1) and said.get("keys", 1)
