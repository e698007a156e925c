"""Answers for the upstream."""

from typing import Any

import pytest

from tidegate import testing
from tidegate.filters.fixed_answer import FixedAnswer


def test_answer_and_who_gets_through() -> None:
    maintenance = testing.use(
        FixedAnswer, status=503, body="Back at noon.\n", headers={"Retry-After": "3600"}, unless={"X-Key": "k"}
    )
    with testing.gateway(maintenance) as gw:
        answer = gw.get()
        assert (answer.status, answer.body, answer.get("Retry-After")) == (503, b"Back at noon.\n", "3600")
        assert answer.get("Content-Type") == "text/plain; charset=utf-8"
        assert gw.get("/", {"X-Key": "other"}).status == 503
        assert gw.get("/", {"x-key": "k"}).status == 200
        assert len(gw.upstream.received) == 1


def test_same_answer_is_made_once() -> None:
    fixed = testing.make(FixedAnswer, status=204)
    assert fixed.on_request(testing.request()) is fixed.on_request(testing.request("POST"))


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"status": 100}, "200 to 599"),
        ({"status": 204, "body": "x"}, "has no body"),
        ({"headers": {"X": "€"}}, "latin-1"),
        ({"status": "200"}, "status"),
    ],
)
def test_wrong_options_are_findings(options: dict[str, Any], finding: str) -> None:
    with pytest.raises(ValueError, match=finding):
        testing.make(FixedAnswer, **options)
