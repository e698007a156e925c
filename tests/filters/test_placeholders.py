"""Text with values of an exchange in it."""

import pytest

from tidegate import testing
from tidegate.filters.placeholders import NAMES, Text


def test_all_names_are_filled_in() -> None:
    request = testing.request(
        "PUT", "/users/42?a=b", path="/users/{id}", headers={"X-A": "1", "Host": "h.test"}, client_ip="10.1.1.1"
    )
    said = {name: Text(f"{{{name}}}").fill(request) for name in NAMES}
    assert said == {
        "client.ip": "10.1.1.1",
        "request.id": request.id,
        "route": "test",
        "upstream": "app",
        "host": "h.test",
        "method": "PUT",
        "scheme": "http",
        "path": "/users/42",
        "query": "?a=b",
    }
    assert Text("<{captures.id}|{headers.x-a}>").fill(request) == "<42|1>"


def test_what_is_not_there_is_empty() -> None:
    request = testing.request(upstreams=())
    assert Text("[{captures.id}{headers.x-a}{query}{upstream}]").fill(request) == "[]"


def test_status_of_an_answer() -> None:
    request = testing.request()
    text = Text("{status}!", has_status=True)
    assert text.fill(request, testing.response(request, 404)) == "404!"
    assert text.fill(request) == "!"
    with pytest.raises(ValueError, match=r"\{status\}"):
        Text("{status}")


@pytest.mark.parametrize(
    ("text", "filled"), [("", ""), ("plain", "plain"), ("{{x}}", "{x}"), ("{{{method}}}", "{GET}"), ("a}}b{{", "a}b{")]
)
def test_constants_and_braces(text: str, filled: str) -> None:
    made = Text(text)
    assert made.fill(testing.request()) == filled
    assert made.constant == (None if "method" in text else filled)
    assert repr(made) == f"<Text {text!r}>"


@pytest.mark.parametrize(
    "text", ["{", "}", "{}", "{nothing}", "{captures.}", "{headers.}", "{headers.a b}", "x{client.ip", "{Client.ip}"]
)
def test_what_nobody_knows_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"nothing that can be filled in; expected one of client\.ip, "):
        Text(text)
