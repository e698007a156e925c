"""Figures of the limits' cells; the measurements themselves take a minute and are run by hand."""

import re
from pathlib import Path

import pytest
from benchmarks.limits import KNOWN, fleet
from benchmarks.limits.charges import GROUPS, play
from benchmarks.limits.compiled import DECISION, RACE, ask, build
from benchmarks.limits.heavy import BY_COUNT, BY_TIME
from benchmarks.limits.heavy import play as play_tenants
from benchmarks.load.programs import CompileError
from benchmarks.micro import rates

DESIGN = (Path(__file__).parents[2] / "docs" / "design.md").read_text()


def test_each_is_named_where_its_promise_is():
    assert set(re.findall(r"python -m benchmarks ([a-z-]+)", DESIGN)) >= set(KNOWN)


def test_a_decision_is_measured_in_every_column(tmp_path):
    said = ask(build(DECISION, tmp_path), [64, 100])
    assert set(rates.COLUMNS) < set(said)
    assert all(said[column] > 0 for column in rates.COLUMNS)
    assert said["evicted"] == 0


def test_races_say_what_the_tables_show(tmp_path):
    program = build(RACE, tmp_path)
    assert {"keys", "exact", "over", "under", "evictions"} <= set(ask(program, ["births", 1, 2, 4, 100, 10]))
    assert {"tries", "admitted"} <= set(ask(program, ["hammer", 1, 100, 5, 0.01]))


def test_what_the_compiler_says_is_passed_on(tmp_path):
    wrong = tmp_path / "wrong.c"
    wrong.write_text("int main(void) { return no_such_name; }\n")
    with pytest.raises(CompileError, match="no_such_name"):
        build(wrong, tmp_path)


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_limiter_of_a_group_is_charged_for_admissions_and_for_nothing_else(name, seed):
    tally = play(name, seconds=600, seed=seed)
    assert tally.differences == 0
    assert 0.1 * tally.requests < tally.admitted < 0.99 * tally.requests, "some are let in, and some are not"


@pytest.mark.parametrize("seed", [1, 2])
def test_heavy_requests_leave_light_ones_unharmed_when_they_count_by_time(seed):
    light, heavy = play_tenants(BY_TIME, 30, seed)
    assert light.refused == 0
    assert light.wait_ms(0.99) < 5
    assert heavy.served_share > 0.3
    harmed, _ = play_tenants(BY_COUNT, 30, seed)
    assert harmed.wait_ms(0.5) > 20 * light.wait_ms(0.99)


def test_nodes_of_a_fleet_in_exact_mode_ask_for_each_request_and_share_the_rate(monkeypatch):
    monkeypatch.setattr(fleet, "NODES", 2)
    mode = fleet.EXACT._replace(rate=40)
    told, _, questions = fleet.run(mode, 1.0, ())
    admitted = [moment for node in told for moment in node["admitted"]]
    requests = len(admitted) + sum(node["refused"] for node in told)
    asked = sum(node["asked"] for node in told)
    assert requests > len(admitted) > 0, "ten times the rate is asked for"
    assert asked > requests / 2 and questions >= asked - sum(node["capped"] for node in told)
    # What the cap decides on a busy machine is admitted by each node's share, once more at the most.
    assert len(admitted) <= 2 * (mode.rate + mode.burst + 1)
