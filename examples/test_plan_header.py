"""How a filter is tested: by hand where that is enough, in a gateway where one wants to see the whole way."""

import pytest
from plan_header import PlanHeader

from tidegate import testing

PLANS = {"acme": "gold"}


@pytest.mark.parametrize(("tenant", "plan"), [("acme", "gold"), ("other", "free")])
def test_plan_by_hand(tenant: str, plan: str) -> None:
    """No socket, no loop: a filter made from options, a request, a look at what became of it."""
    filter_ = testing.make(PlanHeader, plans=PLANS)
    request = testing.request("GET", "/orders", headers={"X-Tenant": tenant, "X-Plan": "platinum"})
    assert filter_.on_request(request) is None
    assert request.headers.get_all("X-Plan") == [plan]


def test_tenant_without_a_plan_is_refused() -> None:
    """An option whose type allows None is switched off by leaving it out of a class's defaults."""

    class Strict(PlanHeader):
        default = None

    answer = testing.make(Strict, plans=PLANS).on_request(testing.request())
    assert answer.status == 403


def test_plan_in_a_gateway() -> None:
    """Real sockets, the configuration checked: what the upstream got, what the log says."""
    with testing.gateway(testing.use(PlanHeader, plans=PLANS, header="X-Tier")) as gw:
        assert gw.get("/orders", {"X-Tenant": "acme"}).status == 200
        assert gw.upstream.received[0].get("X-Tier") == "gold"
        assert gw.log(1)[0]["plan"] == "gold"
        assert not gw.errors


def test_wrong_option_is_a_finding() -> None:
    """What `tidegate check` would say."""
    with pytest.raises(ValueError, match="name of a header field"):
        testing.make(PlanHeader, header="X Tier")
