"""Bodies that are put together are the JSON that they would be if they were encoded whole."""

import json

import pytest

from tidegate.exchange.problem_body import ProblemBody

pytestmark = pytest.mark.sanitize

MEMBERS = {"type": "urn:tidegate:overloaded", "title": "Too much \u00e4", "status": 503}


@pytest.mark.parametrize("text", ["0123456789abcdef" * 2, "A-b_9", "", 'a"b\\c', "\u00ff\u00e4", "x" * 64, "a b\t"])
def test_body_is_the_members_and_the_id_whatever_is_in_it(text: str) -> None:
    body = ProblemBody(MEMBERS).made(text.encode("latin-1"))
    assert json.loads(body) == {**MEMBERS, "request_id": text}
    assert list(json.loads(body)) == [*MEMBERS, "request_id"]
