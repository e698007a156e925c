"""The stampede's figure, in small: its judgement, and a case that is over in a moment."""

from __future__ import annotations

import pytest
from benchmarks.redis import stampede
from benchmarks.redis.stampede import Case, Told

CASE = Case("expired", 12.5e6, 10_000_000, 64 << 10)


def told(**changed: object) -> Told:
    fine = Told(answered=250, late=0, reads=0, loads=0, beats_ms=[1.0] * 100, waits_ms=[5.0] * 250)
    return fine._replace(**changed)  # type: ignore[arg-type]


def test_one_read_by_one_worker_and_quick_heartbeats_meet_the_goals() -> None:
    row, verdicts = stampede.judged(CASE, [told(reads=1), told(), told(), told()], stampede.SIZE + 1000)
    assert all(one.met for one in verdicts) and len(verdicts) == 5
    assert row["answered"] == "1,000" and row["records over the link"] == "1.00"


@pytest.mark.parametrize(
    ("changed", "passed", "missed"),
    [
        ({"reads": 2}, 1, "reads of the record"),
        ({}, 2, "records over the link"),
        ({"late": 1}, 1, "requests not answered"),
        ({"loads": 1}, 1, "questions to the origin"),
        ({"beats_ms": [60.0] * 10}, 1, "heartbeat p99"),
    ],
)
def test_each_demand_is_missed_by_itself(changed: dict[str, object], passed: int, missed: str) -> None:
    _, verdicts = stampede.judged(CASE, [told(**changed)], passed * stampede.SIZE + 1000)
    (one,) = [verdict for verdict in verdicts if not verdict.met]
    assert missed in one.demand


def test_sessions_are_no_part_of_what_the_record_costs() -> None:
    case = CASE._replace(sessions=10)
    row, _ = stampede.judged(case, [told()], stampede.SIZE + 10 * stampede.SESSION)
    assert row["records over the link"] == "1.00"


def test_the_naive_form_is_shown_and_not_judged() -> None:
    assert stampede.judged(CASE._replace(is_naive=True), [told()], 0)[1] == []
