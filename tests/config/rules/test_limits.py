"""Rules about limits; the messages themselves are cases of tests/config/test_check.py."""

import pytest
from tests.config.gateways import LISTENER, ROUTE, UPSTREAM, accepted, told

from tidegate.config.limits import STEP_MAX

KEY = "sha256:" + "ab" * 32
AUTH = f'[auth.a]\nkind = "key"\nkeys = [{{ key = "{KEY}", subject = "acme", tier = "gold" }}]\n'


def limited(options: str, route: str = 'limits = ["a"]') -> str:
    return f"{LISTENER}{UPSTREAM}{AUTH}[limits.a]\n{options}\n{ROUTE}{route}\n"


@pytest.mark.parametrize(
    "options",
    [
        'rate = "0/s"',
        'rate = "60/min"\nburst = 100\nexcess = "delay"\nmax_delay = "1s"\ndelay_after = 100',
        'rate = "1000/d"\nkey = ["client.ip/56", "header:X-User", "cookie:a", "query:b", "path", "constant:x y"]',
        'rate = "10/s"\nburst = 9\ncost = "upstream.seconds"\ncost_unit = "100ms"',
        'quota = 1000000\nwindow = "1d"\ncost = "response.bytes"\ncost_unit = "1KiB"',
        'rate = "10/s"\nburst = 9\ncost = "header:X-Cost"\ncost_max = 10',
        'rate = "5/min"\ncharge = "on_failure"\nkey = "client.ip"\noverrides."192.0.2.1" = { rate = "1/s" }',
    ],
)
def test_limit_that_means_something_has_no_finding(options: str) -> None:
    accepted(limited(options))


def test_limit_by_tenant_needs_a_route_that_asks() -> None:
    options = 'rate = "1/s"\nkey = "auth.tenant"\ntiers.gold = { burst = 5 }'
    accepted(limited(options, 'auth = "a"\nlimits = ["a"]'))
    assert told(limited(options)) == ['routes[0].limits[0]: "a" needs `auth`, which the route has not']


def test_filter_that_finds_out_who_asks_is_as_good_as_auth(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its tiers stand in no configuration."""
    monkeypatch.setenv("TOKEN_SECRET", "s" * 32)
    options = 'rate = "1/s"\nkey = "auth.tenant"\ntiers.silver = { burst = 5 }'
    tokens = '[filters.tokens]\nclass = "tidegate.filters.jwt_auth:JwtAuth"\nsecret = "env:TOKEN_SECRET"\n'
    others = '[filters.others]\nclass = "tidegate.filters.fixed_answer:FixedAnswer"\n'
    accepted(tokens + limited(options, 'filters = ["tokens"]\nlimits = ["a"]'))
    findings = told(others + limited(options, 'filters = ["others"]\nlimits = ["a"]'))
    assert findings == [
        'limits.a.tiers.silver: no tier of a key is named "silver"; there are gold',
        'routes[0].limits[0]: "a" needs `auth`, which the route has not',
    ]


def test_limit_that_nobody_names_is_a_warning() -> None:
    assert told(limited('rate = "1/s"', "")) == ["limits.a: takes no effect: no listener, route or upstream names it"]


@pytest.mark.parametrize("name", ["a\\r\\nX-Evil: 1", 'a\\"b', "a b", "a;b", "\u00e9", "\u20ac", "x" * 65, ""])
def test_name_of_a_limit_can_be_said_in_a_field_as_it_is(name: str) -> None:
    """It is in ``Tidegate-Limit`` and ``RateLimit`` of refusals."""
    told_of = told(f'{LISTENER}{UPSTREAM}{ROUTE}limits = ["{name}"]\n[limits."{name}"]\nrate = "1/s"\n')
    assert len(told_of) == 1
    assert "is said in answers: a name of up to 64" in told_of[0]
    accepted(f'{LISTENER}{UPSTREAM}{ROUTE}limits = ["a_b-C.9"]\n[limits."a_b-C.9"]\nrate = "1/s"\n')


def crowded(kind: str, *, listener: range, route: range, upstream: range, filters: str = "") -> str:
    """A gateway that names limits of one kind by their numbers."""
    numbers = sorted({*listener, *route, *upstream})
    named = {
        where: [f"l{number}" for number in one] for where, one in zip("lur", (listener, upstream, route), strict=True)
    }
    return (
        f"{LISTENER}limits = {named['l']}\n{UPSTREAM}limits = {named['u']}\n{ROUTE}limits = {named['r']}\n{filters}\n"
        '[upstreams.other]\nendpoints = ["127.0.0.1:9002"]\n' + "".join(f"[limits.l{one}]\n{kind}\n" for one in numbers)
    )


@pytest.mark.parametrize(
    ("kind", "listener", "route", "upstream", "at"),
    [
        ('rate = "1/s"', range(STEP_MAX + 1), range(0), range(0), "listeners[0]"),
        ('rate = "1/s"', range(0), range(STEP_MAX + 1), range(0), "routes[0]"),
        ("concurrency = 5", range(0), range(STEP_MAX + 1), range(0), "routes[0]"),
        ("concurrency = 5", range(0), range(0), range(STEP_MAX + 1), "upstreams.app"),
        ('rate = "1/s"', range(8), range(8, STEP_MAX + 1), range(0), "routes[0]"),
        ("concurrency = 5", range(0), range(8), range(8, STEP_MAX + 1), "routes[0]"),
    ],
)
def test_step_that_has_more_limits_than_there_is_room_for_is_found(
    kind: str, listener: range, route: range, upstream: range, at: str
) -> None:
    (message,) = told(crowded(kind, listener=listener, route=route, upstream=upstream))
    assert message.startswith(f"{at}.limits: ")
    assert f"{STEP_MAX + 1} limits are asked as one" in message


def test_limits_of_different_steps_and_the_same_twice_are_not_counted_together() -> None:
    accepted(crowded('rate = "1/s"', listener=range(10), route=range(STEP_MAX), upstream=range(16, 32)))


def test_upstream_that_only_a_filter_can_choose_counts() -> None:
    limits = "".join(f"[limits.l{number}]\nconcurrency = 5\n" for number in range(STEP_MAX + 1))
    names = [f"l{number}" for number in range(STEP_MAX + 1)]
    text = (
        f'{LISTENER}{UPSTREAM}[upstreams.other]\nendpoints = ["127.0.0.1:9002"]\nlimits = {names[:9]}\n{limits}'
        f'[filters.f]\nclass = "tidegate.filters.fixed_answer:FixedAnswer"\nstatus = 200\n{ROUTE}limits = {names[9:]}\n'
    )
    accepted(text)
    (message,) = told(text + 'filters = ["f"]\n')
    assert message.startswith('routes[0].limits: with those of upstream "other" 17 limits')


def test_limits_that_need_more_memory_than_there_is_are_found() -> None:
    text = '[server]\nlimits_memory = "1MiB"\n' + limited('rate = "1/s"\nkey = "path"\nkeys = 1000000')
    (found,) = told(text)
    assert found.startswith("limits.a: has no room left for its 1000000 keys")
    (found,) = told(
        text.replace('rate = "1/s"', "concurrency = 1").replace("1000000", "1024")
        + '[limits.b]\nconcurrency = 1\n[[routes]]\nname = "other"\npath = "/other"\nrespond = {}\nlimits = ["b"]\n'
    )
    assert found.startswith("limits.b: has no room left: server.limits_memory is 1MiB")


def test_override_for_a_key_names_its_digest_and_a_finding_does_not_show_it() -> None:
    options = 'rate = "1/s"\nkey = "auth.key"\noverrides."{}" = {{ rate = "2/s" }}'
    route = 'auth = "a"\nlimits = ["a"]'
    accepted(limited(options.format(KEY), route))
    assert told(limited(options.format("hunter2"), route)) == [
        "limits.a.overrides: of `auth.key` are for `sha256:` and 64 hexadecimal digits"
    ]


@pytest.mark.parametrize("more", ["", "queue = 5\n", 'queue = 5\nkey = "auth.tenant"\n'])
def test_tiers_are_for_concurrency_with_and_without_a_queue(more: str) -> None:
    accepted(limited(f"concurrency = 1\n{more}tiers.gold = {{ concurrency = 3 }}", 'auth = "a"\nlimits = ["a"]'))


def test_weights_are_of_who_waits() -> None:
    (found,) = told(limited("concurrency = 2\nweights = { acme = 3 }"))
    assert found == "limits.a.weights: has no effect without `queue`"
    accepted(limited("concurrency = 2\nqueue = 3\nweights = { acme = 0.5 }"))


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ("burst = 5", "burst: needs `unit_delay`, which those beyond `concurrency` wait"),
        ('unit_delay = "1s"', "unit_delay: has no effect without `burst`: nobody may wait"),
        (
            'burst = 5\nunit_delay = "1s"\nqueue = 3',
            "unit_delay: is another way to wait than the `queue`: one of the two",
        ),
        (
            'burst = 5\nunit_delay = "1s"\ntiers.gold = { concurrency = 0 }',
            "tiers.gold: lets nobody in at once, so that nobody's turn comes; `concurrency` is 1 or more",
        ),
        (
            'burst = 1\nunit_delay = "1s"\ntiers.gold = { burst = 65535 }',
            "tiers.gold: has 10 and 65535 at once; at most 65535 may be",
        ),
    ],
)
def test_delay_of_those_beyond_the_bound_is_for_some_that_may_wait(options: str, finding: str) -> None:
    route = 'auth = "a"\nlimits = ["a"]'
    accepted(limited('concurrency = 10\nburst = 5\nunit_delay = "1s"\ntiers.gold = { burst = 9 }', route))
    assert told(limited(f"concurrency = 10\n{options}", route)) == [f"limits.a.{finding}"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('cost = "upstream.seconds"\nexcess = "delay"', 'cost: "upstream.seconds" is known late'),
        ('cost = "response.bytes"\ncharge = "on_failure"', "cost: is a number or a field with"),
        ('cost = "response.bytes"\ncost_unit = "1s"', 'cost_unit: of "response.bytes": a size is'),
        ('cost = "upstream.seconds"\ncost_unit = "1KiB"', 'cost_unit: of "upstream.seconds": a duration is'),
        ('cost = 2\ncost_unit = "1s"', "cost_unit: has no effect"),
        ("cost = 2\ncost_max = 3", "cost_max: has no effect"),
        ("cost = 11", "cost: of 11 is never let in: the burst of 9 holds 10"),
        ('cost = "header:X-Cost"\ncost_max = 11', "cost_max: of 11 is never let in: the burst of 9 holds 10"),
    ],
)
def test_cost_that_cannot_be_meant_is_found(options: str, message: str) -> None:
    (found,) = told(limited(f'rate = "10/s"\nburst = 9\n{options}'))
    assert found.startswith(f"limits.a.{message}")


def test_cost_that_no_quota_holds_is_found() -> None:
    (found,) = told(limited('quota = 5\nwindow = "1d"\ncost = 6'))
    assert found == "limits.a.cost: of 6 is never let in: the quota is 5"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ('quota = 5\nwindow = "1h"', "limits.a.key: cannot be of endpoints: a quota is for whoever asks"),
        (
            'rate = "1/s"\ncharge = "on_failure"',
            'limits.a.charge: cannot be "on_failure" for endpoints: it is for who guesses',
        ),
        (
            'concurrency = 5\nburst = 5\nunit_delay = "10ms"',
            "limits.a.unit_delay: cannot be of endpoints: one that is busy is skipped, not waited for",
        ),
        (
            'rate = "1/s"\ncost = "upstream.seconds"',
            "limits.a.cost: cannot be measured for endpoints: a bound on concurrency follows what takes long",
        ),
    ],
)
def test_what_endpoints_cannot_be_asked_is_a_finding(options: str, expected: str) -> None:
    assert told(limited(f'{options}\nkey = ["endpoint", "path"]')) == [expected]


def test_listener_cannot_ask_endpoints() -> None:
    text = f'{LISTENER}limits = ["a"]\n{UPSTREAM}[limits.a]\nrate = "1/s"\nkey = "endpoint"\n{ROUTE}'
    (found,) = told(text)
    assert found == 'listeners[0].limits[0]: "a" bounds what goes to upstreams: name it on these or on routes'


def test_an_endpoint_is_asked_four_limits_at_most() -> None:
    kind = 'rate = "1/s"\nkey = "endpoint"'
    accepted(crowded(kind, listener=range(0), route=range(2), upstream=range(2, 4)))
    (found,) = told(crowded(kind, listener=range(0), route=range(3), upstream=range(2, 5)))
    assert found == ('routes[0].limits: with those of upstream "app" 5 limits are asked of each endpoint, 4 may be')
