"""[[routes]]."""

from tests.config.gateways import LISTENER, PLAIN, accepted


def test_route_with_an_upstream_alone_takes_everything() -> None:
    (route,) = accepted(PLAIN).routes
    assert (route.path, route.hosts, route.methods, route.timeout) == ("/*", (), (), 60.0)
    assert route.preserve_host and route.upgrade and route.path_form == "canonical"


def test_every_part_arrives_in_the_model() -> None:
    route = accepted(
        PLAIN
        + r"""
[[routes]]
name = "everything"
hosts = ["API.example.com", "*.example.org"]
path = "/users/{id}/*"
methods = ["GET", "POST"]
headers = { X-Plan = "~^gold", X-Debug = false }
query = { page = true }
priority = 5
upstream = "app"
rewrite = { strip_prefix = "/users", regex = "^/([0-9]+)", replace = '/u/\1', prefix = "/v2" }
request_headers = { remove = ["X-A"], set = { X-B = "1" }, add = { X-C = "2" } }
timeout = "off"
max_body = "10MiB"
path_form = "raw"
allow_encoded = ["%2F", "non-ascii"]
"""
    ).routes[1]
    assert route.hosts == ("api.example.com", "*.example.org")
    assert route.headers == {"X-Plan": "~^gold", "X-Debug": False} and route.query == {"page": True}
    assert route.rewrite is not None and route.rewrite.replace == r"/u/\1"
    assert route.request_headers is not None and route.request_headers.set == {"X-B": "1"}
    assert (route.priority, route.timeout, route.max_body) == (5, None, 10 << 20)


def test_empty_tables_answer_and_redirect() -> None:
    text = (
        LISTENER + '[[routes]]\nname = "ok"\nrespond = {}\n[[routes]]\nname = "to"\npath = "/o"\nredirect.to = "/n"\n'
    )
    ok, to = accepted(text).routes
    assert ok.respond is not None and ok.respond.status == 200
    assert to.redirect is not None and to.redirect.status == 308
