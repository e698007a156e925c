"""Views without sockets behave as those of a gateway."""

from typing import Any

import pytest

from tidegate import Filter, Identity, Request, Response, ResponseHead, testing
from tidegate.testing.exchange import repeat


def test_plain_request() -> None:
    request = testing.request()
    assert (request.method, request.path, request.target, request.query_string) == ("GET", "/", "/", "")
    assert (request.host, request.scheme, request.http_version) == ("gateway.test", "http", "1.1")
    assert (request.client_ip, request.route, request.upstream) == ("192.0.2.1", "test", "app")
    assert len(request.id) == 32
    assert testing.request().id != request.id


def test_everything_can_be_said() -> None:
    request = testing.request(
        "PUT", "/users/4%41/../42?q=a+b",
        headers=[("X-A", "1"), ("x-a", "2"), ("Cookie", "c=3"), ("host", "h.test:8080")],
        client_ip="2001:db8::1", scheme="https", http_version="1.0", path="/users/{id}", route="users",
        upstreams=("one", "two"), store={"tenant": "acme"},
    )  # fmt: skip
    assert (request.method, request.path, request.captures) == ("PUT", "/users/42", {"id": "42"})
    assert (request.query("q"), request.cookie("c"), request.host) == ("a b", "3", "h.test:8080")
    assert (request.client_ip, request.scheme, request.http_version) == ("2001:db8::1", "https", "1.0")
    assert request.headers.get_all("X_A") == ["1", "2"]
    assert (request.route, request.upstream, request.store) == ("users", "one", {"tenant": "acme"})
    request.upstream = "two"
    assert request.upstream == "two"
    with pytest.raises(ValueError, match="there are one, two"):
        request.upstream = "three"
    assert testing.request(upstreams=()).upstream is None


def test_changes_are_seen_and_refusals_are_the_gateways() -> None:
    request = testing.request(headers={"X-A": "1"})
    request.headers["X-A"] = "2"
    request.headers.add("X-B", "3")
    assert request.headers.items() == [("Host", "gateway.test"), ("X-A", "2"), ("X-B", "3")]
    with pytest.raises(ValueError, match="is the gateway's"):
        request.headers["Content-Length"] = "1"
    request.log["plan"] = "gold"
    assert request.log == {"plan": "gold"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"headers": {"X-A": "a\r\nb"}}, "refuses this request"),
        ({"headers": {"X A": "a"}}, "refuses this request"),
        ({"target": "/a b"}, "refuses this request"),
        ({"target": "/..;/"}, "refuses this path: path_encoded_dot_segment"),
        ({"path": "/users/{id}"}, "does not want /"),
    ],
)
def test_what_a_gateway_would_refuse_is_a_value_error(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        testing.request(**arguments)


def test_response_head() -> None:
    request = testing.request()
    head = testing.response(request, 404, {"Server": "x"})
    assert (head.status, head.is_local, head.headers["server"]) == (404, False, "x")
    head.status = 410
    head.headers["X-A"] = "1"
    assert (head.status, head.headers.items()) == (410, [("Server", "x"), ("X-A", "1")])
    with pytest.raises(RuntimeError, match="on its way"):
        request.upstream = "app"
    other = testing.response(request, 200, is_local=True)
    assert (other.is_local, other.headers.items()) == (True, [])
    with pytest.raises(ValueError, match="refuses this answer"):
        testing.response(request, 700)
    with pytest.raises(ValueError, match="refuses this answer"):
        testing.response(request, 200, {"X": "a\nb"})


def test_many_requests_keep_apart() -> None:
    requests = [testing.request("GET", f"/{number}") for number in range(1000)]
    assert [request.path for request in requests] == [f"/{number}" for number in range(1000)]


def test_filter_runs_by_hand() -> None:
    class Deny(Filter):
        def on_request(self, request: Request) -> Response | None:
            return Response(403) if request.path == "/no" else None

        def on_response(self, request: Request, response: ResponseHead) -> None:
            response.headers["X-Path"] = request.path

    deny = Deny()
    answer = deny.on_request(testing.request(target="/no"))
    assert answer is not None and answer.status == 403
    request = testing.request(target="/yes")
    assert deny.on_request(request) is None
    head = testing.response(request)
    deny.on_response(request, head)
    assert head.headers["x-path"] == "/yes"


def test_repeated_calls_each_find_the_request_as_it_came() -> None:
    seen = []

    def method(request: Request) -> None:
        seen.append((request.headers.get("X-A"), dict(request.store)))
        request.headers["X-A"] = "1"
        request.store["a"] = 1

    repeat(testing.request(), method, 3)
    assert seen == [(None, {})] * 3


def test_request_is_from_whom_it_is_said_to_be() -> None:
    known = testing.request(auth=Identity("ci", "acme", tier="gold"))
    assert (known.auth.subject, known.auth.tenant, known.auth.tier, known.auth.priority) == ("ci", "acme", "gold", 0)
    assert testing.request().auth.subject == ""
