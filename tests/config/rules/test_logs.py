"""Fields and formats of the access log."""

import pytest
from tests.config.gateways import PLAIN, accepted, found, told


@pytest.mark.parametrize(
    "line", ['fields = ["ts", "status"]', 'format = "combined"', 'format = "{client} {{x}} {request}"']
)
def test_known_fields_are_taken(line: str) -> None:
    accepted(PLAIN + f"[access_log]\n{line}\n")


@pytest.mark.parametrize("line", ['fields = ["ts", "statsu"]', 'format = "{client} {statsu}"'])
def test_unknown_field_gets_the_nearest(line: str) -> None:
    (finding,) = found(PLAIN + f"[access_log]\n{line}\n")
    assert finding.message == 'no field of the access log is named "statsu"'
    assert finding.suggestion == "status"


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ('fields = ["ts", "ts"]', "access_log.fields[1]: ts is given twice"),
        ('format = "combined"\nfields = ["ts"]', 'access_log.fields: has no effect, because `format` is not "json"'),
    ],
)
def test_contradictions(line: str, finding: str) -> None:
    assert told(PLAIN + f"[access_log]\n{line}\n") == [finding]


@pytest.mark.parametrize("line", ['format = "{client"', 'format = "a\\tb"'])
def test_format_that_is_none_is_a_finding(line: str) -> None:
    (finding,) = told(PLAIN + f"[access_log]\n{line}\n")
    assert finding.startswith("access_log.format: ")
