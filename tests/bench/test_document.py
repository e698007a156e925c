"""The JSON of a load: figures that others read by name, notes that say when they flatter, and merging."""

import json

import pytest
from tests.bench.outcomes import ASKED, MS, failing, measured, text

from tidegate.bench.document import document_of, merged, served_latency
from tidegate.bench.measured import StatusCounts


def made(counted, **asked):
    return json.loads(json.dumps(document_of(counted, {**ASKED, **asked}, began_unix_s=1.5)))


def test_figures_have_their_names_and_are_seconds():
    document = made(measured())
    assert document["latency_s"] == {
        "p50": pytest.approx(0.050, rel=1e-3),
        "p90": pytest.approx(0.090, rel=1e-3),
        "p99": pytest.approx(0.099, rel=1e-3),
        "p999": pytest.approx(0.100, rel=1e-3),
        "max": pytest.approx(0.100, rel=1e-3),
        "mean": pytest.approx(0.0505, rel=1e-3),
    }
    assert document["service_s"]["max"] == pytest.approx(0.001, rel=1e-3)
    assert document["rate"] == {"asked": 100.0, "sent": 100.0, "answered": 100.0, "is_kept": True}
    assert (document["by_status"]["200"]["count"], document["errors"], document["notes"]) == (100, {}, [])
    assert document["by_second"][0]["answers"] == {"2xx": 100}


def test_refusals_do_not_flatter():
    document = made(failing())
    assert document["latency_s"]["p50"] == pytest.approx(0.025, rel=1e-3)
    assert {name: one["count"] for name, one in document["by_class"].items()} == {"2xx": 50, "4xx": 40, "5xx": 10}
    assert document["by_status"]["429"]["latency_s"]["p50"] == pytest.approx(1e-6)
    assert document["errors"] == {"connection_refused": 25}
    assert "25 of 125 requests have no answer" in document["notes"][0]


def test_of_nothing_there_are_no_quantiles():
    document = made(measured(statuses={}, late=text([]), connect=text([]), by_second=[]))
    assert set(document["latency_s"].values()) == {None}
    assert document["by_status"] == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sent": 90}, "The rate was not kept: 90.0% of what was due was sent"),
        ({"waited": 30}, "30.0% of the requests waited because all 4 connections were busy"),
        ({"late": text([3 * MS] * 100)}, "The generator itself was late: by 3.00 ms"),
        ({"cpu_s": 0.99}, "processors were full"),
        ({"is_open_loop": False}, "Closed loop"),
        ({"is_stopped": True}, "stopped before its end"),
    ],
)
def test_what_has_to_be_known_is_said(changes, said):
    (note,) = made(measured(**changes))["notes"]
    assert said in note


def test_closed_loop_has_no_rate_that_was_asked_for():
    document = made(measured(is_open_loop=False))
    assert (document["rate"]["asked"], document["rate"]["is_kept"], document["send_error_s"]) == (None, None, None)


def test_files_are_merged(tmp_path):
    files = []
    for number, counted in enumerate((measured(), failing())):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(json.dumps(document_of(counted, ASKED, began_unix_s=10.0 + number)))
    document = merged(files)
    assert document["by_status"]["200"]["count"] == 150
    assert document["rate"]["asked"] == 200.0
    assert document["began_unix_s"] == 10.0
    assert (document["asked"]["processes"], document["asked"]["connections"]) == (2, 8)
    # What was merged may be merged again.
    again = tmp_path / "again.json"
    again.write_text(json.dumps(document))
    assert merged([again])["by_status"] == document["by_status"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"measured": {}}', "\x00"])
def test_a_file_that_is_something_else_is_named(tmp_path, content):
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"other\.json is no document"):
        merged([file])


def test_latencies_below_400_are_those_that_are_exported():
    counted = measured(
        statuses={"200": StatusCounts(text([MS]), text([MS])), "500": StatusCounts(text([1]), text([1]))}
    )
    assert served_latency(counted).total == 1
