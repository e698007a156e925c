"""What ``[limits.NAME]`` holds after its check."""

from tests.config.gateways import LISTENER, ROUTE, UPSTREAM, accepted, told

from tidegate.config.limit_keys import KeyPart
from tidegate.config.limits import PERMITS_MAX, Limit
from tidegate.memory.inflight import CELL_MAX


def limit_of(options: str) -> Limit:
    gateway = accepted(f'{LISTENER}{UPSTREAM}[limits.a]\nrate = "1/s"\n{options}\n{ROUTE}limits = ["a"]\n')
    return gateway.limits["a"]


def test_limit_without_key_is_shared_by_all() -> None:
    limit = limit_of("")
    assert limit.key_parts == ()
    assert not limit.needs_auth
    assert (limit.burst, limit.excess, limit.status, limit.headers) == (
        0,
        "reject",
        None,
        ("Tidegate-Limit", "RateLimit"),
    )


def test_one_part_and_a_list_of_one_are_the_same() -> None:
    assert limit_of('key = "path"') == limit_of('key = ["path"]')


def test_what_needs_to_know_who_asks_says_so() -> None:
    assert Limit(rate="1/s", key=("client.ip", "auth.key")).needs_auth
    assert Limit(rate="1/s", key=("client.ip/56", "host")).key_parts == (KeyPart("client.ip", "", 56), KeyPart("host"))


def test_only_what_needs_neither_who_asks_nor_the_upstream_is_asked_first() -> None:
    assert Limit(rate="1/s", key=("client.ip", "route")).is_edge
    assert not Limit(rate="1/s", key=("path", "upstream")).is_edge
    assert not Limit(rate="1/s", key=("auth.tenant",)).is_edge
    assert not Limit(concurrency=5).is_edge


def test_no_limit_promises_more_permits_than_a_worker_can_count() -> None:
    assert PERMITS_MAX == CELL_MAX
    text = f'{LISTENER}{UPSTREAM}{ROUTE}limits = ["a"]\n[limits.a]\nconcurrency = '
    assert accepted(f"{text}{CELL_MAX}\n").limits["a"].concurrency == CELL_MAX
    (message,) = told(f"{text}{CELL_MAX + 1}\n")
    assert message.startswith("limits.a.concurrency: expected a whole number from 0 to 65535")
