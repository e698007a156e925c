"""CORS, as the Fetch standard has it."""

from typing import Any

import pytest

from tidegate import Response, testing
from tidegate.filters.cors import Cors

APP = "https://app.example.com"


def preflight(cors: Any, origin: str = APP, method: str = "PUT", headers: str = "") -> Response:
    fields = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        fields["Access-Control-Request-Headers"] = headers
    answer = cors.on_request(testing.request("OPTIONS", headers=fields))
    assert isinstance(answer, Response)
    return answer


def actual(cors: Any, origin: str | None = APP, answer: dict[str, str] | None = None) -> dict[str, str]:
    """The CORS fields, and Vary, of an answer."""
    request = testing.request(headers={} if origin is None else {"Origin": origin})
    assert cors.on_request(request) is None
    head = testing.response(request, headers=answer or {})
    cors.on_response(request, head)
    return {name.removeprefix("Access-Control-"): value for name, value in head.headers.items()}


def test_preflight_says_what_is_allowed() -> None:
    cors = testing.make(Cors, origins=[APP], methods=["GET", "PUT"], headers=["X-A", "X-B"], max_age="1h")
    answer = preflight(cors, headers="x-a")
    assert (answer.status, answer.body) == (204, b"")
    assert dict(answer.headers) == {
        "Access-Control-Allow-Origin": APP,
        "Access-Control-Allow-Methods": "GET, PUT",
        "Access-Control-Allow-Headers": "X-A, X-B",
        "Access-Control-Max-Age": "3600",
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    }


def test_preflight_of_another_origin_is_refused() -> None:
    answer = preflight(testing.make(Cors, origins=[APP]), "https://evil.test")
    assert answer.status == 403
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert "Origin" in str(answer.headers["Vary"])


def test_any_method_and_header_is_what_was_asked_for() -> None:
    """With credentials "*" stands for itself, so it is never said."""
    for credentials in (False, True):
        cors = testing.make(Cors, origins=[APP], methods=["*"], headers=["*"], credentials=credentials)
        answer = preflight(cors, method="PURGE", headers="x-anything, authorization")
        assert answer.headers["Access-Control-Allow-Methods"] == "PURGE"
        assert answer.headers["Access-Control-Allow-Headers"] == "x-anything, authorization"
        assert ("Access-Control-Allow-Credentials" in answer.headers) is credentials


def test_what_is_no_preflight_goes_on() -> None:
    cors = testing.make(Cors, origins=["*"])
    for method, headers in [
        ("OPTIONS", {}),
        ("OPTIONS", {"Origin": APP}),
        ("OPTIONS", {"Access-Control-Request-Method": "GET"}),
        ("GET", {"Origin": APP, "Access-Control-Request-Method": "GET"}),
    ]:
        assert cors.on_request(testing.request(method, headers=headers)) is None


def test_answer_says_who_may_read_it() -> None:
    cors = testing.make(Cors, origins=[APP, "https://b.test"], expose=["X-A", "X-B"], credentials=True)
    said = {"Allow-Origin": APP, "Allow-Credentials": "true", "Expose-Headers": "X-A, X-B", "Vary": "Origin"}
    assert actual(cors) == said
    assert actual(cors, "https://b.test")["Allow-Origin"] == "https://b.test"


@pytest.mark.parametrize(
    "origin", [None, "https://evil.test", "null", "https://app.example.com.evil.test", "", APP + "/"]
)
def test_answer_to_others_says_nothing_but_that_it_depends(origin: str | None) -> None:
    """Vary too: a cache must not give the answer that was made for one origin to another."""
    cors = testing.make(Cors, origins=[APP], credentials=True)
    assert actual(cors, origin) == {"Vary": "Origin"}


def test_everybody_gets_the_same_answer() -> None:
    cors = testing.make(Cors, origins=["*"], expose=["*"])
    assert actual(cors) == {"Allow-Origin": "*", "Expose-Headers": "*"}
    assert actual(cors, None) == {}
    assert preflight(cors).headers["Access-Control-Allow-Origin"] == "*"


def test_gateway_has_the_say_over_the_upstream() -> None:
    upstream = {
        "Access-Control-Allow-Origin": "*", "access-control-allow-credentials": "true",
        "Access-Control-Expose-Headers": "X-Secret", "Vary": "Accept-Encoding",
    }  # fmt: skip
    cors = testing.make(Cors, origins=[APP])
    request = testing.request(headers={"Origin": APP})
    head = testing.response(request, headers=upstream)
    cors.on_response(request, head)
    assert head.headers.items() == [
        ("Vary", "Accept-Encoding"), ("Vary", "Origin"), ("Access-Control-Allow-Origin", APP)
    ]  # fmt: skip
    assert actual(cors, "https://evil.test", {"Access-Control-Allow-Origin": "*"}) == {"Vary": "Origin"}


@pytest.mark.parametrize("vary", ["origin", "Accept, ORIGIN", "*"])
def test_vary_is_not_said_twice(vary: str) -> None:
    assert actual(testing.make(Cors, origins=[APP]), APP, {"Vary": vary})["Vary"] == vary


@pytest.mark.parametrize(
    ("pattern", "origin", "fits"),
    [
        ("https://*.example.com", "https://a.example.com", True),
        ("https://*.example.com", "https://a.b-c.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://.example.com", False),
        ("https://*.example.com", "http://a.example.com", False),
        ("https://*.example.com", "https://a.example.com:8443", False),
        ("https://*.example.com:8443", "https://a.example.com:8443", True),
        ("https://*.example.com", "https://evil.test/.example.com", False),
        ("https://*.example.com", "https://evil.test#.example.com", False),
        ("https://*.example.com", "https://a.exampleXcom", False),
        ("https://*.example.com", "https://a.example.com.evil.test", False),
        (r"~https://pr-[0-9]+\.example\.dev", "https://pr-12.example.dev", True),
        (r"~https://pr-[0-9]+\.example\.dev", "https://pr-12.example.dev.evil.test", False),
        (r"~https://pr-[0-9]+\.example\.dev", "xhttps://pr-12.example.dev", False),
        ("http://localhost:3000", "http://localhost:3000", True),
        ("http://[::1]:3000", "http://[::1]:3000", True),
        ("app://local", "app://local", True),
        ("null", "null", True),
        ("*", "null", True),
    ],
)
def test_origins(pattern: str, origin: str, fits: bool) -> None:
    assert ("Allow-Origin" in actual(testing.make(Cors, origins=[pattern]), origin)) is fits


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"origins": ["*"], "credentials": True}, "would let any page act for the user"),
        ({"origins": [APP], "credentials": True, "expose": ["*"]}, "name those to be exposed"),
        ({"origins": [APP + "/"]}, "is no origin"),
        ({"origins": ["app.example.com"]}, "is no origin"),
        ({"origins": ["https://App.example.com"]}, "is no origin"),
        ({"origins": ["https://*"]}, "is no origin"),
        ({"origins": [APP + ":443"]}, f'write "{APP}"'),
        ({"origins": ["~("]}, "RE2 does not take"),
        ({"origins": ["~a(?=b)"]}, "RE2 does not take"),
        ({"origins": [APP], "methods": ["get"]}, "in capitals"),
        ({"origins": [APP], "headers": ["X A"]}, "name of a header field"),
        ({}, "origins"),
    ],
)
def test_wrong_options_are_findings(options: dict[str, Any], finding: str) -> None:
    with pytest.raises(ValueError, match=finding):
        testing.make(Cors, **options)


def test_in_a_gateway_other_filters_answers_are_marked_too() -> None:
    from tidegate.filters.fixed_answer import FixedAnswer

    cors = testing.use(Cors, origins=[APP])
    with testing.gateway(cors, testing.use(FixedAnswer, status=401)) as gw:
        answer = gw.get("/", {"Origin": APP})
        assert (answer.status, answer.get("Access-Control-Allow-Origin")) == (401, APP)
        asked = {"Origin": APP, "Access-Control-Request-Method": "POST"}
        answer = gw.request("OPTIONS", "/", asked)
        assert (answer.status, answer.get_all("Access-Control-Allow-Origin")) == (204, [APP])
        assert answer.get_all("Vary") == ["Origin, Access-Control-Request-Method, Access-Control-Request-Headers"]
        assert not gw.upstream.received
