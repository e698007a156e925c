"""What a limit of a whole fleet needs, and what cannot be counted together."""

import pytest
from tests.config.gateways import LISTENER, ROUTE, UPSTREAM, accepted, told

STORE = '[redis.main]\nurl = "redis://127.0.0.1"\n'


def shared(options: str, store: str = STORE) -> str:
    return f'{LISTENER}{UPSTREAM}{store}[limits.a]\n{options}\n{ROUTE}limits = ["a"]\n'


@pytest.mark.parametrize(
    "options",
    [
        'rate = "100/s"\nscope = "fleet"\nstore = "main"',
        'rate = "9/s"\nscope = "fleet"\nstore = "main"\ncost = "header:X"\non_store_failure = "deny"',
        'rate = "9/s"\nscope = "fleet"\nstore = "main"\nkey = "client.ip"\nlatency_cap = "5ms"',
        'quota = 1000\nwindow = "1d"\nwindow_kind = "sliding"\nscope = "fleet"\nstore = "main"',
        'rate = "5/min"\nburst = 4\ncharge = "on_failure"\nscope = "fleet"\nstore = "main"',
        'concurrency = 5\nqueue = 9\nscope = "fleet"\nstore = "main"\non_store_failure = "allow"',
        'rate = "1/s"\nmode = "exact"\ndry_run = true\nscope = "fleet"\nstore = "main"',
        'concurrency = 5\nkey = "client.ip"\nscope = "fleet"\nstore = "main"\nmode = "exact"',
    ],
)
def test_limit_that_a_fleet_shares_has_no_finding(options: str) -> None:
    accepted(shared(options))


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ('rate = "1/s"\nscope = "fleet"', 'scope: of "fleet" needs `store`'),
        ('rate = "1/s"\nstore = "main"', 'store: has no effect without scope = "fleet"'),
        ('rate = "1/s"\non_store_failure = "deny"', 'on_store_failure: has no effect without scope = "fleet"'),
        ('rate = "1/s"\nmode = "exact"', 'mode: has no effect without scope = "fleet"'),
        (
            'concurrency = 5\nmode = "exact"\ndry_run = true\nscope = "fleet"\nstore = "main"',
            'dry_run: cannot be with mode = "exact" of what is under way',
        ),
        ('rate = "1/s"\nlatency_cap = "5ms"', 'latency_cap: has no effect without scope = "fleet"'),
        ('adaptive = "queue_delay"\nscope = "fleet"\nstore = "main"', 'scope: cannot be "fleet" of what each gateway'),
        (
            'concurrency = 5\nburst = 5\nunit_delay = "1s"\nscope = "fleet"\nstore = "main"',
            "unit_delay: cannot be of a fleet",
        ),
        ('concurrency = 5\nkey = "endpoint"\nscope = "fleet"\nstore = "main"', "key: cannot be of endpoints"),
        (
            'rate = "1/s"\nburst = 5\nexcess = "delay"\nscope = "fleet"\nstore = "main"',
            'excess: cannot be "delay" of a fleet',
        ),
        (
            'rate = "1/s"\ncharge = "on_failure"\nscope = "fleet"\nmode = "exact"\nstore = "main"',
            'charge: cannot be "on_failure" with mode = "exact"',
        ),
        (
            'rate = "1/s"\nburst = 9\ncost = "upstream.seconds"\nscope = "fleet"\nstore = "main"',
            'cost: "upstream.seconds" is known late',
        ),
        ('rate = "1/s"\nkey = "endpoint"\nscope = "fleet"\nstore = "main"', "key: cannot be of endpoints"),
    ],
)
def test_what_a_fleet_cannot_count_is_found(options: str, finding: str) -> None:
    found = told(shared(options))
    assert len(found) == 1
    assert found[0].startswith(f"limits.a.{finding}")


EXACT = 'rate = "1/s"\nscope = "fleet"\nmode = "exact"'


def together(store: str, *limits: str) -> str:
    listed = "".join(f"[limits.l{number}]\n{EXACT}\n{options}\n" for number, options in enumerate(limits))
    names = [f"l{number}" for number in range(len(limits))]
    return f"{LISTENER}{UPSTREAM}{store}{listed}{ROUTE}limits = {names}\n"


def test_limits_that_are_asked_as_one_need_one_store_and_in_a_cluster_one_slot() -> None:
    by_ip = 'store = "main"\nkey = ["client.ip", "path"]'
    accepted(together(STORE, by_ip, 'store = "main"'))
    cluster = f"{STORE}cluster = true\n"
    accepted(together(cluster, by_ip, 'store = "main"\nkey = "client.ip"'))
    found = told(together(cluster, by_ip, 'store = "main"\nkey = "path"'))
    assert len(found) == 1
    assert found[0].startswith("routes[0].limits: asks l0 and l1 as one, which are in different slots")
    assert "client.ip and path" in found[0]
    found = told(together(f'{STORE}[redis.other]\nurl = "redis://127.0.0.2"\n', by_ip, 'store = "other"'))
    assert found == ["routes[0].limits: asks main and other as one, by l0 and l1: they need one `store`"]


def test_store_that_is_not_there_is_found_with_the_one_that_was_meant() -> None:
    found = told(shared('rate = "1/s"\nscope = "fleet"\nstore = "mian"'))
    assert len(found) == 1
    assert 'no redis is named "mian"' in found[0]


def test_classes_have_no_shares_and_tiers_no_more_of_what_nobody_is_told_apart_by() -> None:
    shared_limit = 'concurrency = 5\nscope = "fleet"\nstore = "main"\n'
    classes = '[classes]\nnames = ["live", "batch"]\n'
    found = told(shared(f"{shared_limit}queue = 9\nshares = {{ live = 0.5 }}\n{classes}"))
    assert found == ["limits.a.shares: cannot be of a fleet: no gateway knows what classes have at the others"]
    keys = '[auth.k]\nkind = "key"\nkeys = [{ key = "sha256:' + "0" * 64 + '", subject = "s", tier = "gold" }]\n'
    tiers = "tiers.gold = { concurrency = 9 }\n"
    by_tenant = f'{shared_limit}key = "auth.tenant"\n{tiers}{keys}'
    accepted(f'{shared(by_tenant)}auth = "k"\n')
    found = told(f'{shared(f"{shared_limit}{tiers}{keys}")}auth = "k"\n')
    assert len(found) == 1
    assert found[0].startswith("limits.a.tiers: of a fleet need a `key` that says who asks")
