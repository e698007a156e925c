"""Figures of the limits' cells; the measurements themselves take a minute and are run by hand."""

import re
from pathlib import Path

import pytest
from benchmarks.limits import KNOWN
from benchmarks.limits.compiled import DECISION, RACE, ask, build
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
