"""What ``tidegate check --explain`` says of a request, and that it is what the gateway does with it."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.command import tidegate

from tidegate.cli.explain import explain
from tidegate.config.check import check, check_text
from tidegate.config.schema import Gateway

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
