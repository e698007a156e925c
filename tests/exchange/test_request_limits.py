"""What a filter may know and say of the limits of its request."""

import math

import pytest
from tests.exchange.filtered import get, look
from tests.plane.harness import until

from tidegate import Filter, Request, Response, testing

pytestmark = pytest.mark.sanitize

CONFIG = """
[limits.contract]
rate = "1/d"
burst = 4
key = "header:x-who"
show_keys = true
[limits.permits]
concurrency = 3
[limits.month]
quota = 100
window = "30d"
window_kind = "first_use"
key = "upstream"
[limits.each]
concurrency = 2
key = "endpoint"
"""


def test_a_limit_that_is_not_met_may_be_looked_at_and_nothing_changes() -> None:
    def see(request: Request) -> object:
        return [request.limits.peek("contract") for _ in range(3)]

    peeks = look(see, get(headers="X-Who: ann\r\n"), config=CONFIG)
    assert {one[:6] for one in peeks} == {("contract", True, "ann", 1, 5, 0)}


def test_permits_and_quotas_are_looked_at_alike() -> None:
    peeks = look(lambda request: [request.limits.peek(name) for name in ("permits", "month")], config=CONFIG)
    assert [(one.limit, one.is_allowed, one.remaining) for one in peeks] == [("permits", True, 3), ("month", True, 100)]


def test_of_a_limit_of_endpoints_the_one_with_most_room_is_told() -> None:
    peek = look(lambda request: request.limits.peek("each"), config=CONFIG)
    assert (peek.is_allowed, peek.remaining) == (True, 2)
    assert peek.key.startswith("127.0.0.1:")


def test_what_it_costs_is_looked_at_when_it_has_been_said() -> None:
    def see(request: Request) -> object:
        request.limits.cost("contract", 6)
        return request.limits.peek("contract")

    peek = look(see, config=CONFIG)
    assert (peek.is_allowed, peek.cost, peek.remaining, peek.wait_s) == (False, 6, 5, None)


@pytest.mark.parametrize("amount", [-1, math.nan, math.inf, 1e13])
def test_what_is_no_amount_is_refused(amount: float) -> None:
    with pytest.raises(ValueError, match="is 0 to"):
        look(lambda request: request.limits.cost("contract", amount), config=CONFIG)


def test_permits_have_no_cost_and_unknown_limits_are_named() -> None:
    with pytest.raises(ValueError, match="each request is one"):
        look(lambda request: request.limits.cost("permits", 2), config=CONFIG)
    with pytest.raises(KeyError, match="no limit is named contrakt; there are contract, each, month, permits"):
        look(lambda request: request.limits.peek("contrakt"), config=CONFIG)


def test_limits_that_are_kept_past_the_exchange_say_so() -> None:
    kept: list[object] = []
    look(lambda request: kept.append(request.limits), config=CONFIG)
    assert repr(kept[0]) == "<RequestLimits, over>"
    with pytest.raises(RuntimeError, match="is over"):
        kept[0].cost("contract", 1)  # type: ignore[attr-defined]


too_late: list[str] = []


class Finishes(Filter):
    """Says too late what a request took."""

    def on_request(self, request: Request) -> Response:
        return Response(204)

    def on_finish(self, request: Request) -> None:
        try:
            request.limits.cost("contract", 5)
        except RuntimeError as error:
            too_late.append(str(error))


def test_when_the_exchange_has_ended_it_is_too_late() -> None:
    with testing.gateway(testing.use(Finishes)) as gw:
        assert gw.get("/").status == 204
        until(lambda: too_late, "it has ended")
    assert "has been charged" in too_late[0]
