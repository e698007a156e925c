"""Figures of a gateway in trouble: what is concluded from what was seen, and short forms of two that count failures."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.goals import at_most, exit_code
from benchmarks.load.exchanges import RECORD
from benchmarks.load.websockets import Ending
from benchmarks.rounds import Round
from benchmarks.trouble import KNOWN
from benchmarks.trouble.changes import Change, done_by, rows, windows
from benchmarks.trouble.gateway import Event, quantile
from benchmarks.trouble.lifecycle import closed_early, is_of_the_killed
from benchmarks.trouble.recorder import WITH, WITHOUT, paired
from benchmarks.trouble.store_worker import rest_s
from benchmarks.trouble.victims import Kill, attribute

ROOT = Path(__file__).parents[2]
OPERATE = (ROOT / "docs" / "operate.md").read_text()
MS = 1_000_000
KILL = Kill(pid=7, at_s=100.0, at_ns=100 * MS, gone_ns=102 * MS, replaced_s=0.3)


def test_each_is_named_in_the_manual():
    assert set(re.findall(r"python -m benchmarks ([a-z-]+)", OPERATE)) >= set(KNOWN)


def test_quantile_is_a_value_that_was_measured():
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert quantile([1.0], 0.0) == 1.0


def test_process_that_has_a_share_of_a_processor_rests_for_what_it_used():
    assert rest_s(0.1, 0.25) == pytest.approx(0.3), "0.1 s of 0.4"
    assert rest_s(5.0, 1.0) == 0.001, "all there is: it only lets others come to run"


def test_goal_that_is_missed_or_could_not_be_measured_is_told_by_the_exit_code(capsys):
    assert exit_code([at_most("failures", 0, 0)]) == 0
    assert exit_code([at_most("failures", 0, 0), at_most("failures", 1, 0)]) == 1
    assert exit_code([at_most("failures", None, 0)]) == 1
    assert "MISSED  failures at most 0: 1" in capsys.readouterr().out


def test_a_request_belongs_to_the_change_under_way_when_it_was_due():
    changes = [Change("reload", 10, 20), Change("upgrade", 30, 40), Change("reload", 41, 50)]
    group = windows(changes)
    assert [group(at) for at in (0, 10, 20, 25, 30, 41, 51)] == [
        *("steady", "reload", "reload", "steady", "upgrade", "reload", "steady"),
    ]
    assert windows([])(5) == "steady"
    assert (done_by(changes, "reload", 49), done_by(changes, "reload", 50), done_by(changes, "upgrade", 50)) == (
        1,
        2,
        1,
    )


def test_table_has_a_row_for_each_kind_of_change(tmp_path):
    from benchmarks.load.exchanges import Latencies

    (tmp_path / "raw").write_bytes(RECORD.pack(5, 5, 5 + 2 * MS, 1, 0, 0) + RECORD.pack(15, 15, 15 + MS, 1, 0, 0))
    changes = [Change("reload", 10, 20)]
    found = rows(Latencies(tmp_path / "raw", windows(changes)), changes)
    assert [(row["under way"], row["times"], row["requests"], row["p99 ms"]) for row in found] == [
        ("steady", "-", "1", "2.000"),
        ("reload", "1", "1", "1.000"),
    ]


def test_websocket_may_be_closed_when_the_drain_of_its_generation_is_over_and_not_before():
    switches = [Event(10.0, "upgrade_switched", ""), Event(40.0, "upgrade_switched", "")]
    at = [(0.0, 20.0), (0.0, 15.0), (12.0, 50.1), (12.0, 45.0), (41.0, 60.0)]
    endings = [Ending(opened_s, at_s, 7, "") for opened_s, at_s in at]
    assert closed_early(endings, switches, 10.0) == [endings[1], endings[3], endings[4]]


@pytest.mark.parametrize(
    ("exchange", "kind"),
    [
        ((50, 50, 101, 7, 1, 0), "with_the_killed"),
        ((50, 50, 99, 7, 1, 0), "others"),  # before it was killed
        ((50, 50, 101, 8, 1, 0), "others"),  # another worker's
        ((50, 101, 103, 0, 1, 1), "in_its_hands"),
        ((50, 103, 110, 0, 1, 1), "others"),  # it was gone when the connection was begun
        ((50, 90, 250, 0, 1, 1), "others"),  # long after it was gone
    ],
)
def test_a_failure_is_the_killed_workers_only_if_it_can_be(tmp_path, exchange, kind):
    due, begun, ended, server, failed, fresh = exchange
    record = RECORD.pack(due * MS, begun * MS, ended * MS, server, failed, fresh)
    (tmp_path / "raw").write_bytes(record + RECORD.pack(0, 0, 101 * MS, 8, 0, 0))
    blamed = attribute(tmp_path / "raw", [KILL])
    assert {name: len(getattr(blamed, name)) for name in ("with_the_killed", "in_its_hands", "others")} == {
        **dict.fromkeys(("with_the_killed", "in_its_hands", "others"), 0),
        kind: 1,
    }


def test_a_websocket_is_the_killed_workers_only_if_it_can_be():
    assert is_of_the_killed(Ending(0.0, 100.0, 7, ""), [KILL])
    assert not is_of_the_killed(Ending(0.0, 100.0, 8, ""), [KILL])
    assert not is_of_the_killed(Ending(0.0, 99.0, 7, ""), [KILL])
    # One that was never opened: only while the worker may have accepted it.
    assert is_of_the_killed(Ending(99.9, 100.1, 0, ""), [KILL])
    assert not is_of_the_killed(Ending(101.0, 101.1, 0, ""), [KILL])


def test_ratio_of_pairs_is_that_of_the_rotations_in_which_both_had_a_load():
    def played(contender, rotation, requests, errors=0):
        return Round(contender, rotation, requests, 1.0, errors, 5.0, 1.0, 0.5)

    rounds = [played(WITHOUT, at, 1000 * (at + 1)) for at in range(3)] + [
        played(WITH, at, 990 * (at + 1)) for at in range(2)
    ]
    rounds.append(played(WITH, 2, 5, errors=1))
    found = paired(rounds, lambda one: one.rate)
    assert round(found.ratio, 6) == 0.99
    assert found.error < 1e-6
    assert paired(rounds[:4], lambda one: one.rate).ratio is None


def bench(*options):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert " at most " in done.stdout, done.stderr
    return done.stdout


GENERATOR = pytest.mark.skipif(
    shutil.which("gcc") is None or not Path("/usr/include/openssl/ssl.h").exists(),
    reason="no C compiler or no OpenSSL headers for the generators",
)


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(330)
@GENERATOR
def test_reloads_and_an_upgrade_fail_nobody():
    said = bench(
        *("lifecycle", "--reloads", "2", "--upgrades", "1", "--rate", "100", "--websockets", "5"),
        *("--steady", "1", "--drain", "5"),
    )
    for demand in (
        "failed requests",
        "WebSockets closed before their drain's deadline",
        "WebSockets that could not be",
    ):
        assert re.search(rf"^ +met +{demand}", said, re.MULTILINE), said


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(330)
@GENERATOR
def test_killed_workers_take_nobody_with_them_and_leave_nothing():
    said = bench("killed-workers", "--seconds", "3", "--rate", "100")
    for demand in (
        *(
            "requests that failed and were not with",
            "loads with requests that were never answered",
            "gauges that are not",
        ),
        *("slots still marked", "descriptors that the supervisor", "KB that the supervisor", "KB of shared memory"),
    ):
        assert re.search(rf"^ +met +{demand}", said, re.MULTILINE), said
