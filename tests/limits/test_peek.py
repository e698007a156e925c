"""A look at one limit: as good as a charge, and changing nothing."""

import pytest
from tests.limits.laid_out import limit

from tidegate.config.limits import Allowance
from tidegate.config.limits import Limit as Settings
from tidegate.limits.group import Group
from tidegate.limits.peek import most_room, peek
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize

SECOND_NS = 1_000_000_000
NOW_NS = 1000 * SECOND_NS
HEAD = b"GET /a HTTP/1.1\r\nHost: h\r\nX-User: ann\r\n\r\n"


def test_it_says_what_a_charge_would_say(region: Region) -> None:
    one = limit(region, Settings(rate="10/s", burst=4))
    group = Group((one,))
    for left in (5, 4, 3, 2, 1):
        told = peek(one, HEAD, NOW_NS, 0)
        assert (told.is_allowed, told.remaining, told.wait_s) == (True, left, 0)
        assert told.reset_s == pytest.approx((5 - left) / 10)
        assert group.ask(HEAD, NOW_NS) == (None, 0)
    told = peek(one, HEAD, NOW_NS, 0)
    assert (told.is_allowed, told.remaining, told.key) == (False, 0, "(all)")
    assert told.wait_s == pytest.approx(0.1)
    assert group.ask(HEAD, NOW_NS)[0] == "a"
    assert peek(one, HEAD, NOW_NS + SECOND_NS // 10, 0).is_allowed


def test_turn_that_would_be_given_out_is_told(region: Region) -> None:
    one = limit(region, Settings(rate="10/s", burst=4, excess="delay"))
    Group((one,)).ask(HEAD, NOW_NS)
    told = peek(one, HEAD, NOW_NS, 0)
    assert (told.is_allowed, told.wait_s) == (True, pytest.approx(0.1))


def test_nobody_is_let_in_for_ever_where_the_rate_is_nothing_or_the_cost_too_much(region: Region) -> None:
    assert peek(limit(region, Settings(rate="0/s")), HEAD, NOW_NS, 0).wait_s is None
    told = peek(limit(region, Settings(rate="10/s", burst=4)), HEAD, NOW_NS, 0, cost=6)
    assert (told.is_allowed, told.cost, told.wait_s) == (False, 6, None)


def test_quota_and_permits_say_what_is_left(region: Region) -> None:
    quota = limit(region, Settings(quota=3, window=10.0, window_kind="first_use"))
    Group((quota,)).ask(HEAD, NOW_NS)
    assert peek(quota, HEAD, NOW_NS + SECOND_NS, 0)[1:7] == (True, "(all)", 1, 2, 0, 9)
    told = peek(quota, HEAD, NOW_NS + SECOND_NS, 0, cost=3)
    assert (told.is_allowed, told.remaining, told.wait_s) == (False, 2, 9)
    permits = limit(region, Settings(concurrency=1))
    group = Group((permits,))
    assert peek(permits, HEAD, NOW_NS, 0)[1:6] == (True, "(all)", 1, 1, 0)
    _, _, ticket = group.begin(HEAD, NOW_NS)
    assert peek(permits, HEAD, NOW_NS, 0)[1:6] == (False, "(all)", 1, 0, None)
    group.end(ticket, NOW_NS)
    assert peek(permits, HEAD, NOW_NS, 0).is_allowed


def test_who_it_is_decides_what_he_is_allowed(region: Region) -> None:
    settings = Settings(
        rate="1/s",
        key=("auth.tenant",),
        keys=64,
        tiers={"gold": Allowance(burst=9)},
        overrides={"acme": Allowance(burst=99)},
    )
    one = limit(region, settings)
    remaining = {
        (tenant, tier): peek(one, HEAD, NOW_NS, 0, tenant=tenant, tier=tier).remaining
        for tenant in ("acme", "globex")
        for tier in ("gold", "free")
    }
    assert remaining == {
        ("acme", "gold"): 100,
        ("acme", "free"): 100,
        ("globex", "gold"): 10,
        ("globex", "free"): 1,
    }


@pytest.mark.parametrize(("missing", "is_allowed"), [("skip", True), ("refuse", False)])
def test_request_without_key_passes_by_or_is_refused(region: Region, missing: str, is_allowed: bool) -> None:
    one = limit(region, Settings(rate="1/s", key=("header:X-None",), keys=64, missing_key=missing))
    told = peek(one, HEAD, NOW_NS, 0)
    assert (told.is_allowed, told.key, told.cost) == (is_allowed, "(missing)", 0)


def test_where_several_endpoints_are_asked_the_soonest_and_roomiest_of_them_is_told(region: Region) -> None:
    one = limit(region, Settings(rate="10/s", burst=1, key=("endpoint",), keys=64))
    group = Group((one,))
    assert group.ask(HEAD, NOW_NS) == (None, 0)  # of an endpoint without a name

    def told(*endpoints: str) -> str:
        return most_room(peek(one, HEAD, NOW_NS, 0, endpoint=at) for at in endpoints).key

    assert told("", "a:1") == "a:1"
    assert group.ask(HEAD, NOW_NS) == (None, 0)
    assert peek(one, HEAD, NOW_NS, 0, endpoint="").is_allowed is False
    assert told("", "b:1") == "b:1"
    never = limit(region, Settings(rate="0/s", key=("endpoint",), keys=64))
    refusals = [peek(never, HEAD, NOW_NS, 0, endpoint="c:1"), peek(one, HEAD, NOW_NS, 0, endpoint="")]
    assert most_room(refusals).limit == "a"
    assert most_room(refusals).wait_s == pytest.approx(0.1)
