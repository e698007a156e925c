"""What people who write filters test them with.

Without sockets, a filter alone. ``request`` and ``response`` make the views that the gateway would hand it, over bytes
that its codec has read, so that reading, changing and every refusal are those of the real thing:

    plan = testing.make(PlanHeader, header="X-Tier")        # options checked as in the configuration
    request = testing.request("GET", "/orders", headers={"X-Tenant": "acme"})
    assert plan.on_request(request) is None
    assert request.headers["X-Tier"] == "gold"
    head = testing.response(request, 404)

What a filter is told of limits is what real ones say:

    limits = testing.limits(contract={"rate": "10/s", "burst": 4, "key": "auth.tenant"})
    request = testing.request(limits=limits, auth=Identity("ann", "acme"))
    testing.charge(request, "contract", times=5)
    assert not request.limits.peek("contract").is_allowed

Caches are real ones as well, whose time goes on when the test says so:

    prices = testing.make(Prices, service="127.0.0.1:9902")
    prices.caches = caches = testing.caches(prices={"ttl": "1m"})
    await prices.on_request(testing.request("GET", "/tea"))
    caches.pass_time(61)

With sockets, the gateway itself, in this process: ``gateway`` runs filters in a real one, in front of an upstream that
remembers what it got and answers as it is told:

    with testing.gateway(testing.use(PlanHeader, header="X-Tier")) as gw:
        assert gw.get("/orders", {"X-Tenant": "acme"}).status == 200
        assert gw.upstream.received[0].get("X-Tier") == "gold"
        assert gw.log(1)[0]["status"] == 200
        assert not gw.errors
"""

from tidegate.testing.caches import TestedCaches, caches
from tidegate.testing.exchange import charge, request, response
from tidegate.testing.gateway import Answer, Gateway, Said, Use, gateway, make, use
from tidegate.testing.limits import limits
from tidegate.testing.upstream import Received, ScriptedUpstream

__all__ = [
    "Answer",
    "Gateway",
    "Received",
    "Said",
    "ScriptedUpstream",
    "TestedCaches",
    "Use",
    "caches",
    "charge",
    "gateway",
    "limits",
    "make",
    "request",
    "response",
    "use",
]
