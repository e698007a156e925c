"""Findings as people and programs read them."""

import json

import pytest

from tidegate.config.findings import Finding, format_path, nearest, render


def test_line_has_place_path_message_and_suggestion() -> None:
    finding = Finding(file="g.toml", line=14, path="upstreams.a.balanse", message="unknown field", suggestion="balance")
    assert str(finding) == 'g.toml:14: upstreams.a.balanse: unknown field; did you mean "balance"?'


def test_warning_says_so() -> None:
    assert str(Finding(file="g.toml", line=1, message="hm", severity="warning")) == "g.toml:1: warning: hm"


def test_names_cannot_move_the_cursor() -> None:
    text = str(Finding(file="g.toml", path='"\x1b[2J"', message="two\nlines \u202e"))
    assert text.isprintable()
    assert "\\x1b[2J" in text


def test_findings_are_counted() -> None:
    error, warning = Finding(file="g", message="a"), Finding(file="g", message="b", severity="warning")
    assert render([error, error, warning]).splitlines()[-1] == "2 errors, 1 warning"
    assert render([error]).splitlines()[-1] == "1 error"
    assert render([]) == ""


def test_programs_get_json() -> None:
    found = json.loads(render([Finding(file="g.toml", line=2, column=3, path="a", message="b")], as_json=True))
    assert found == [
        {"file": "g.toml", "line": 2, "column": 3, "path": "a", "message": "b", "expected": "", "suggestion": ""}
        | {"severity": "error"}
    ]


def test_path_is_written_as_in_the_file() -> None:
    assert format_path(("routes", 3, "headers", "X Y", 0)) == 'routes[3].headers."X Y"[0]'


@pytest.mark.parametrize(
    ("name", "expected"),
    [("balanse", "balance"), ("BALANCE", "balance"), ("x", ""), ("", ""), ("a" * 10_000, ""), ("1.1", "")],
)
def test_nearest_name(name: str, expected: str) -> None:
    assert nearest(name, ["balance", "pool", "1.2"]) == expected
