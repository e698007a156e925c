"""What ``tidegate check --explain`` says of a request, and that it is what the gateway does with it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cli.command import tidegate

from tidegate.cli.explain import explain
from tidegate.config.auth import Auth, AuthKey
from tidegate.config.check import check, check_text
from tidegate.config.limits import Allowance, Limit
from tidegate.config.listeners import Listener
from tidegate.config.routes import Route
from tidegate.config.schema import Gateway
from tidegate.config.upstreams import Endpoint, Upstream

EXAMPLE = Path(__file__).parents[2] / "examples" / "limits.toml"


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    snapshot, findings = check(EXAMPLE)
    assert snapshot is not None, findings
    return snapshot.gateway


def test_limits_are_told_in_the_order_in_which_they_are_asked(gateway: Gateway) -> None:
    found = explain(gateway, "GET", "http://a.test/api/orders", [("X-API-Key", "river")], "198.51.100.7")
    assert (found.route, found.upstream, found.ends) == ("api", "demo", "")
    assert found.identity == {"subject": "acme-ci", "tenant": "acme", "tier": "gold", "priority": 0}
    assert [(one.step, one.limit, one.key) for one in found.limits] == [
        ("admit", "edge", ["client.ip = 198.51.100.7"]),
        ("admit", "guesses", ["client.ip = 198.51.100.7"]),
        ("pick", "contract", ["auth.tenant = acme"]),
        ("pick", "servers", []),
    ]
    assert found.limits[2].allows == "50/s, 25 ahead of it wait"


@pytest.mark.parametrize(
    ("url", "fields", "ends", "limits"),
    [
        ("http://a.test/api/x", [], "401 key_missing", ["edge", "guesses"]),
        ("http://a.test/api/x", [("x-api-key", "lake")], "401 key_unknown", ["edge", "guesses"]),
        ("http://a.test/other", [], "404 no_route", ["edge"]),
        ("http://a.test/api/%2e%2e/%2F", [], "400 path_encoded_dot_segment", []),
    ],
)
def test_request_that_goes_no_further_meets_the_limits_up_to_there(
    gateway: Gateway, url: str, fields: list[tuple[str, str]], ends: str, limits: list[str]
) -> None:
    found = explain(gateway, "GET", url, fields)
    assert (found.ends, [one.limit for one in found.limits]) == (ends, limits)


def test_it_is_printed_for_people_and_as_json() -> None:
    arguments = ("check", EXAMPLE, "--explain", "GET", "http://a.test/api/x", "-H", "X-API-Key: sea")
    done = tidegate(*arguments)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "route      api",
        "from       subject globex, tenant globex, tier free",
        "admit      edge: 200/s, 400 ahead of it pass at once by client.ip = 192.0.2.1",
        "admit      guesses: 5/min, 4 ahead of it pass at once by client.ip = 192.0.2.1",
        "pick       contract: 10/s, 5 ahead of it wait by auth.tenant = globex",
        "pick       servers: 500/s, 100 ahead of it pass at once by nothing: all share it",
        "then       to the upstream demo",
    ]
    told: dict[str, Any] = json.loads(tidegate(*arguments, "--json").stdout)
    assert told["limits"][0] == {
        "step": "admit",
        "limit": "edge",
        "key": ["client.ip = 192.0.2.1"],
        "allows": "200/s, 400 ahead of it pass at once",
    }


def test_what_is_no_url_is_a_usage_error() -> None:
    done = tidegate("check", EXAMPLE, "--explain", "GET", "/orders")
    assert done.returncode == 2
    assert "expected a URL" in done.stderr


def test_class_is_that_of_route_key_and_field(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        '[[listeners]]\nbind = "127.0.0.1:8080"\n[classes]\nnames = ["live", "batch"]\nheader = "X-Class"\n'
        '[[routes]]\nname = "a"\ntraffic_class = "live"\nrespond = {}\n'
    )
    snapshot, findings = check(file)
    assert snapshot is not None, findings
    for fields, expected in (([], "live"), ([("X-Class", "batch")], "batch")):
        found = explain(snapshot.gateway, "GET", "http://a.test/", fields)
        assert found.traffic_class == expected
        assert f"class      {expected}" in str(found).splitlines()


def test_limit_that_learns_says_so() -> None:
    snapshot, _ = check_text(
        '[[listeners]]\nbind = "127.0.0.1:8080"\n[limits.a]\nadaptive = "vegas"\n[upstreams.u]\n'
        'endpoints = ["127.0.0.1:9001"]\nlimits = ["a"]\n[[routes]]\nname = "r"\nupstream = "u"\n'
    )
    assert snapshot is not None
    (asked,) = explain(snapshot.gateway, "GET", "http://a.test/", []).limits
    assert (asked.step, asked.allows) == ("pick", "what is learned at once (vegas)")


@pytest.mark.parametrize(
    ("key", "override", "url", "fields", "client"),
    [
        ("client.ip", "192.0.2.7", "http://a.test/", [], "::ffff:192.0.2.7"),
        ("client.ip", "2001:db8:0:1::9", "http://a.test/", [], "2001:db8::1:0:0:0:1"),
        ("host", "A.test", "http://a.TEST:80/", [], "192.0.2.1"),
        ("query:who", "ann lee", "http://a.test/?who=ann%20lee", [], "192.0.2.1"),
        ("path", "/y", "http://a.test/x/../y", [], "192.0.2.1"),
        ("auth.key", "sha256:" + "AB" * 32, "http://a.test/", [], "192.0.2.1"),
    ],
)
def test_override_is_found_as_the_gateway_finds_it(
    key: str, override: str, url: str, fields: list[tuple[str, str]], client: str
) -> None:
    limit = Limit(rate="1/s", key=(key,), overrides={override: Allowance(rate="9/s")})
    route = Route(name="all", upstream="app", limits=("a",))
    gateway = Gateway(
        listeners=(Listener(bind="127.0.0.1:1"),),
        upstreams={"app": Upstream(endpoints=(Endpoint(address="127.0.0.1:2"),))},
        limits={"a": limit},
        routes=(route,),
    )
    if key == "auth.key":
        digest = hashlib.sha256(b"river").hexdigest()
        auth = Auth(kind="key", keys=(AuthKey(key=f"sha256:{digest}", subject="ann"),))
        limit = replace(limit, overrides={f"sha256:{digest.upper()}": Allowance(rate="9/s")})
        gateway = replace(gateway, auth={"a": auth}, limits={"a": limit}, routes=(replace(route, auth="a"),))
        fields = [("X-API-Key", "river")]
    (told,) = explain(gateway, "GET", url, fields, client).limits
    assert told.allows == "9/s"
