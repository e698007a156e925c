"""The JSON says all that came of it."""

import json

from tests.lab.playing import Leak, played

from tidegate.lab.document import document_of
from tidegate.lab.stage import Length


def test_it_has_figures_verdicts_and_series_of_each_run():
    document = json.loads(json.dumps(document_of(played(Leak(), runs=2), Length.SHORT, 12.3456)))
    assert document["is_good"] is True
    assert document["length"] == "short"
    assert document["began_unix_s"] == 12.346
    (scenario,) = document["scenarios"]
    assert scenario["name"] == "leak"
    assert len(scenario["runs"]) == 2
    happened, through = scenario["runs"][0]["as_it_happened"], scenario["runs"][0]["through_tidegate"]
    assert happened["figures"] == {"leaks": 3, "took_ms": 12.5}
    assert happened["verdicts"] == [{"figure": "leaks", "demand": "at least 1", "seen": 3, "is_met": True}]
    assert happened["marks"] == [{"at_s": 0.5, "text": "it leaks"}]
    assert happened["series"] == [{"title": "Leaks", "unit": "drops", "lines": {"drops": [0.0, 3]}}]
    assert through["notes"] == ["a note & more"]


def test_what_did_not_come_out_is_not_good():
    document = document_of(played(Leak(), Leak(trouble="no Valkey")), Length.FULL, 0)
    assert document["is_good"] is False
    assert [one["is_good"] for one in document["scenarios"]] == [True, False]
    assert document["scenarios"][1]["trouble"] == "no Valkey"
