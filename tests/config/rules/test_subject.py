"""What rules see and say."""

from pathlib import Path

from tidegate.config.load import load_text
from tidegate.config.rules.subject import Subject
from tidegate.config.schema import Gateway
from tidegate.config.structure import shape

TEXT = 'routes = [5, { name = "a" }]\n[upstreams]\na = 5\n'


def subject() -> Subject:
    source = load_text(TEXT, file="x")
    assert source.tree is not None
    shaped = shape(source, Gateway, source.tree, Path("/"))
    assert shaped.section is not None
    source.findings.clear()
    return Subject(source, shaped, shaped.section)


def test_names_are_those_of_the_file_even_if_wrong() -> None:
    assert subject().names("upstreams") == ["a"]
    assert subject().names("filters") == []


def test_defaults_are_not_said_by_the_file() -> None:
    assert subject().says(("routes", 0, "name"))
    assert not subject().says(("routes", 0, "path"))
    assert not subject().says(("server", "admin"))


def test_findings_have_their_place_in_the_file() -> None:
    one = subject()
    one.find(("routes", 0, "name"), "wrong")
    one.warn(("routes", 0), "doubtful")
    one.unknown(("routes", 0), "filter", "cros", ["cors"])
    assert [(f.path, f.column, f.severity, f.suggestion) for f in one.source.findings] == [
        ("routes[1].name", 16, "error", ""),
        ("routes[1]", 14, "warning", ""),
        ("routes[1]", 14, "error", "cors"),
    ]
    assert one.line(("upstreams", "a")) == 3
