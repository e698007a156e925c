"""The stampede's figure, in small: its judgement, and cases that are over in a moment."""

from __future__ import annotations

import pytest
from benchmarks.redis import stampede
from benchmarks.redis.stampede import Case, Told

CASE = Case("expired", 12.5e6, 10_000_000, 64 << 10)
COLD = CASE._replace(name="cold", is_at_once=True, sessions=10)
QUICK = [(10.0 + at / 100, 1.0) for at in range(100)]
SLOW = [(10.0 + at / 100, 60.0) for at in range(100)]


def told(**changed: object) -> Told:
    fine = Told(
        answered=250,
        late=0,
        reads=0,
        loads=0,
        written=10,
        beats=QUICK,
        waits_ms=[5.0] * 250,
        began_s=10.0,
        served_s=10.5,
        ended_s=11.0,
    )
    return fine._replace(**changed)  # type: ignore[arg-type]


def test_one_read_by_one_worker_and_quick_heartbeats_meet_the_goals() -> None:
    row, verdicts = stampede.judged(COLD, [told(reads=1), told(), told(), told()], QUICK, COLD.size + 1000)
    assert all(one.met for one in verdicts) and len(verdicts) == 7
    assert (row["answered"], row["records sent"], row["sessions"]) == ("1,000", "1.00", "40")


@pytest.mark.parametrize(
    ("changed", "neighbour", "sent", "missed"),
    [
        ({"reads": 2}, QUICK, 1, "reads of the record"),
        ({}, QUICK, 2, "records that the server sent"),
        ({"late": 1}, QUICK, 1, "requests not answered"),
        ({"loads": 1}, QUICK, 1, "questions to the origin"),
        ({}, [*QUICK, (10.9, 60.0)], 1, "neighbour's longest heartbeat"),
    ],
)
def test_each_demand_is_missed_by_itself(
    changed: dict[str, object], neighbour: list[tuple[float, float]], sent: int, missed: str
) -> None:
    _, verdicts = stampede.judged(COLD, [told(**changed)], neighbour, sent * COLD.size + 1000)
    (one,) = [verdict for verdict in verdicts if not verdict.met]
    assert missed in one.demand


def test_heartbeats_that_are_slow_while_callers_wait_are_not_hidden_by_the_many_quick_ones_later() -> None:
    beats = [*SLOW[:2], *QUICK[60:], *[(10.7, 1.0)] * 1000]
    _, verdicts = stampede.judged(COLD, [told(beats=beats)], QUICK, COLD.size)
    (one,) = [verdict for verdict in verdicts if not verdict.met]
    assert one.demand.startswith("cold: while callers wait")


def test_a_neighbour_is_looked_at_while_the_case_is_played() -> None:
    before_and_after = [(9.0, 500.0), *QUICK, (12.0, 500.0)]
    _, verdicts = stampede.judged(COLD, [told()], before_and_after, COLD.size)
    assert all(one.met for one in verdicts)


def test_the_naive_form_is_shown_and_not_judged() -> None:
    assert stampede.judged(CASE._replace(is_naive=True), [told()], SLOW, 0)[1] == []


@pytest.mark.slow
def test_callers_of_two_workers_share_a_read_beside_sessions_and_the_naive_form_has_as_many_as_callers() -> None:
    # The link is not narrow: what is looked at here is how often the record is on it.
    case = COLD._replace(link_bytes_s=1e9, workers=2, each=20, size=1_000_000, deadline_s=60.0)
    row, _ = stampede.run(case)
    assert (row["answered"], row["not in time"], row["reads"], row["sessions"]) == ("40", "0", "1", "10")
    assert float(row["records sent"]) < 1.5
    naive, _ = stampede.run(case._replace(is_naive=True))
    assert (naive["answered"], naive["reads"]) == ("40", "40")
    assert float(naive["records sent"]) > 39
