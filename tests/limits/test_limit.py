"""One limit over a region of its own: what passes when, with the time given."""

from typing import Any

import pytest
from tests.limits.laid_out import limit

from tidegate.config.limits import Allowance
from tidegate.config.limits import Limit as Settings
from tidegate.limits.group import Group
from tidegate.limits.limit import Limit
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize

SECOND_NS = 1_000_000_000
NOW_NS = 1000 * SECOND_NS
HEAD = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def asked(one: Limit, times: int, now_ns: int = NOW_NS, **who: Any) -> list[int | None]:
    """The waits in ms of so many requests at one moment; None: refused."""
    group = Group((one,))
    waits: list[int | None] = []
    for _ in range(times):
        refused_by, wait_ns = group.ask(HEAD, now_ns, **who)
        waits.append(None if refused_by else round(wait_ns / 1e6))
    return waits


def test_of_many_at_once_the_burst_and_one_pass_and_the_next_is_refused(region: Region) -> None:
    one = limit(region, Settings(rate="200/s", burst=100))
    assert asked(one, 102) == [0] * 101 + [None]
    # and a refused one changes nothing
    assert asked(one, 2, NOW_NS + SECOND_NS // 200) == [0, None]


def test_delayed_ones_wait_as_the_rate_spaces_them(region: Region) -> None:
    one = limit(region, Settings(rate="200/s", burst=100, excess="delay"))
    assert asked(one, 102) == [5 * k for k in range(101)] + [None]


def test_delay_after_forgives_as_many_and_counts_from_there(region: Region) -> None:
    one = limit(region, Settings(rate="10/s", burst=5, excess="delay", delay_after=2))
    assert asked(one, 7) == [0, 0, 0, 100, 200, 300, None]


def test_max_delay_refuses_who_would_wait_longer(region: Region) -> None:
    one = limit(region, Settings(rate="10/s", burst=50, excess="delay", max_delay=0.25))
    assert asked(one, 4) == [0, 100, 200, None]


def test_rate_of_nothing_lets_nobody_in(region: Region) -> None:
    assert asked(limit(region, Settings(rate="0/s", burst=10)), 1) == [None]
    assert limit(region, Settings(rate="0/s", burst=10)).policies == ["q=0;w=1"]


@pytest.mark.parametrize(
    ("rate", "gap_ns"),
    [("1/s", SECOND_NS), ("60/min", SECOND_NS), ("24/d", 3600 * SECOND_NS), ("100/h", 36 * SECOND_NS)],
)
def test_steady_requests_at_the_rate_pass_and_faster_ones_do_not(region: Region, rate: str, gap_ns: int) -> None:
    one = limit(region, Settings(rate=rate))
    assert [asked(one, 1, NOW_NS + k * gap_ns) for k in range(5)] == [[0]] * 5
    assert asked(one, 1, NOW_NS + 5 * gap_ns - 1) == [None]


def test_cost_takes_as_much_as_so_many_requests(region: Region) -> None:
    one = limit(region, Settings(rate="10/s", burst=9, cost=5))
    assert asked(one, 3) == [0, 0, None]
    assert asked(one, 1, NOW_NS + SECOND_NS // 2 - 1) == [None]
    assert asked(one, 1, NOW_NS + SECOND_NS // 2) == [0]


def test_tier_and_override_have_a_rate_and_a_burst_of_their_own(region: Region) -> None:
    settings = Settings(
        rate="1/s",
        key=("auth.tenant",),
        keys=1000,
        tiers={"gold": Allowance(burst=2), "fast": Allowance(rate="10/s")},
        overrides={"acme": Allowance(rate="2/s", burst=1)},
    )
    one = limit(region, settings)
    assert one.policies == ["q=1;w=1", "q=3;w=3", "q=1;w=1", "q=2;w=1"]
    assert asked(one, 2, tenant=b"free") == [0, None]
    assert asked(one, 4, tenant=b"golden", tier="gold") == [0, 0, 0, None]
    assert asked(one, 1, tenant=b"quick", tier="fast") == [0]
    assert asked(one, 1, NOW_NS + SECOND_NS // 10, tenant=b"quick", tier="fast") == [0]
    assert asked(one, 3, tenant=b"acme", tier="gold") == [0, 0, None]
    assert asked(one, 1, NOW_NS + SECOND_NS // 2, tenant=b"acme") == [0]


def test_two_views_of_one_place_are_one_limit(region: Region) -> None:
    settings = Settings(rate="1/s", burst=1)
    assert [asked(limit(region, settings), 1) for _ in range(3)] == [[0], [0], [None]]


def test_limit_of_another_name_in_the_same_place_begins_anew(region: Region) -> None:
    assert asked(limit(region, Settings(rate="1/s"), "a"), 2) == [0, None]
    assert asked(limit(region, Settings(rate="1/s"), "b"), 2) == [0, None]


def test_window_is_of_the_kind_that_is_configured(region: Region) -> None:
    """In the middle of a minute an aligned window ends half a minute later, one from the first use a whole one."""
    middle = {"wall_ms": 90_000}
    later = {"wall_ms": 120_000}
    for kind, after_half_a_minute in (("aligned", [0, 0, None]), ("first_use", [None]), ("sliding", [None])):
        one = limit(region, Settings(quota=2, window=60.0, window_kind=kind), kind)  # type: ignore[arg-type]
        assert asked(one, 3, **middle) == [0, 0, None]
        assert asked(one, len(after_half_a_minute), NOW_NS + 30 * SECOND_NS, **later) == after_half_a_minute


def test_tiers_have_quotas_of_their_own(region: Region) -> None:
    settings = Settings(
        quota=1,
        window=60.0,
        key=("auth.tenant",),
        keys=100,
        tiers={"gold": Allowance(quota=2)},
        overrides={"acme": Allowance(quota=3)},
    )
    one = limit(region, settings)
    assert one.policies == ["q=1;w=60", "q=2;w=60", "q=3;w=60"]
    assert asked(one, 2, tenant=b"free") == [0, None]
    assert asked(one, 3, tenant=b"golden", tier="gold") == [0, 0, None]
    assert asked(one, 4, tenant=b"acme", tier="gold") == [0, 0, 0, None]


def test_tiers_have_permits_of_their_own(region: Region) -> None:
    settings = Settings(concurrency=0, key=("auth.tenant",), keys=100, tiers={"gold": Allowance(concurrency=1)})
    one = limit(region, settings)
    assert one.policies == ['q=0;qu="concurrent-requests"', 'q=1;qu="concurrent-requests"']
    assert asked(one, 1, tenant=b"free") == [None]
    # ``ask`` gives its permit back.
    assert asked(one, 2, tenant=b"golden", tier="gold") == [0, 0]
    assert one.held(b"golden") == 0
