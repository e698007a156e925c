import json

from tidegate.doctor.directions import Direction
from tidegate.doctor.finding import Finding, Unseen
from tidegate.doctor.report import Report


def finding(severity):
    return Finding(check="a", severity=severity, subject="s", seen="seen", why="why", mend="mend", incident="ports")


def test_the_worst_comes_first_and_what_was_not_seen_once():
    said = [finding("note"), Unseen("b", "hidden"), finding("serious"), Unseen("b", "hidden"), finding("warning")]
    report = Report.of(said, ["a", "b"])
    assert [one.severity for one in report.findings] == ["serious", "warning", "note"]
    assert report.unseen == (Unseen("b", "hidden"),)
    assert report.is_serious and report.counts == {"serious": 1, "warning": 1, "note": 1}
    assert not Report.of([finding("warning")], ["a"]).is_serious


def test_document_is_json_and_tells_what_happened():
    direction = Direction(name="clients", connections=1, is_local=False, unanswered=1)
    document = json.loads(json.dumps(Report.of([finding("note")], ["a"], [direction]).document()))
    assert document["serious"] is False
    assert document["findings"][0]["incident"] == "ports" and "port" in document["findings"][0]["happened"]
    assert document["directions"][0]["is_failing"] is True
    assert document["looked"] == ["a"] and document["could_not_look"] == []
