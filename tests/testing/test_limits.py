"""Limits that a filter's test makes: real ones, without a gateway."""

import pytest

from tidegate import Identity, testing


def test_a_limit_says_what_a_real_one_says() -> None:
    limits = testing.limits(
        contract={"rate": "10/d", "burst": 4, "key": "auth.tenant"}, month={"quota": 3, "window": "30d"}
    )
    request = testing.request(limits=limits, auth=Identity("ann", "acme"))
    assert request.limits.peek("contract").remaining == 5
    testing.charge(request, "contract", times=7)
    told = request.limits.peek("contract")
    assert (told.is_allowed, told.remaining, told.key) == (False, 0, "acme")
    other = testing.request(limits=limits, auth=Identity("bob", "globex"))
    assert other.limits.peek("contract").remaining == 5
    testing.charge(request, "month")
    assert request.limits.peek("month").remaining == 2


def test_permits_are_taken_too() -> None:
    request = testing.request(limits=testing.limits(few={"concurrency": 2}))
    testing.charge(request, "few", times=2)
    assert not request.limits.peek("few").is_allowed


def test_what_a_filter_says_it_costs_is_charged() -> None:
    request = testing.request(limits=testing.limits(rows={"rate": "1/d", "burst": 9}))
    request.limits.cost("rows", 7)
    testing.charge(request, "rows")
    assert request.limits.peek("rows").remaining == 3


def test_what_is_no_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="rate"):
        testing.limits(contract={"rate": "often"})
    with pytest.raises(ValueError, match="no room"):
        testing.limits(contract={"rate": "1/s", "key": "path", "keys": 10_000_000})
    with pytest.raises(KeyError, match="no limit is named other"):
        testing.request(limits=testing.limits(one={"rate": "1/s"})).limits.peek("other")
