"""What control says of limits when it is asked, over the application itself."""

import hashlib
import json
import time

import pytest
from tests.admin.views import view_of

from tidegate.admin.peek import PeekRequest, Peeks
from tidegate.config.adaptive import Adaptive
from tidegate.config.allotment import allot, room_of
from tidegate.config.auth import Auth, AuthKey
from tidegate.config.limits import Allowance, Limit
from tidegate.config.listeners import Listener
from tidegate.config.routes import Route
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
from tidegate.config.upstreams import Endpoint, Upstream
from tidegate.limits.group import Group
from tidegate.limits.limit import Limit as CompiledLimit
from tidegate.memory.region import Region

MEMORY = 1 << 20
DIGEST = hashlib.sha256(b"river").hexdigest()
LIMITS = {
    "contract": Limit(rate="1/d", burst=4, key=("auth.tenant",), keys=64, tiers={"gold": Allowance(burst=9)}),
    "by_key": Limit(rate="1/d", key=("auth.key",), keys=64),
    "both": Limit(rate="1/d", key=("header:X-User", "path"), keys=64),
    "permits": Limit(concurrency=3, queue=5),
    "each": Limit(rate="1/d", key=("endpoint",), keys=64, overrides={"10.0.0.2:80": Allowance(burst=3)}),
    "learns": Limit(adaptive=Adaptive(algorithm="aimd", initial=25), queue=5),
}
GATEWAY = Gateway(
    listeners=(Listener(bind="127.0.0.1:1"),),
    auth={
        "partners": Auth(kind="key", keys=(AuthKey(key=f"sha256:{DIGEST}", subject="ann", tenant="acme", tier="gold"),))
    },
    limits=LIMITS,
    upstreams={"orders": Upstream(endpoints=(Endpoint(address="10.0.0.1:80"), Endpoint(address="10.0.0.2:80")))},
    routes=(Route(name="orders", upstream="orders"),),
)


@pytest.fixture
def view():
    region = Region.create(1, **room_of(MEMORY))
    places, _ = allot({}, LIMITS, MEMORY)
    yield view_of(region, snapshot=Snapshot.build(GATEWAY, places=places))
    region.close()


def looked(view, **asked):
    return {one["limit"]: one for one in Peeks(view).answer(PeekRequest(**asked))}


def test_a_described_request_is_told_what_each_limit_would_say(view):
    told = looked(view, headers={"X-API-Key": "river", "X-User": "ann"}, auth="partners", url="http://a.test/x/../y")
    assert set(told) == LIMITS.keys() - {"each"}  # no endpoint was said
    assert (told["contract"]["remaining"], told["contract"]["key"]) == (10, "acme")
    assert told["by_key"]["key"] == f"sha256:{DIGEST[:12]}"
    assert told["both"]["key"].endswith(", /y")
    assert told["permits"]["remaining"] == 3
    assert told["learns"]["remaining"] == 25


def test_it_sees_what_workers_have_charged_and_charges_nothing(view):
    worker = CompiledLimit(
        "contract", LIMITS["contract"], view.snapshot.places["contract"], view.region.mapping, view.region.secret
    )
    head = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    assert Group((worker,)).ask(head, time.monotonic_ns(), tenant=b"acme") == (None, 0)
    for _ in range(3):
        assert looked(view, limits=["contract"], tenant="acme")["contract"]["remaining"] == 4
    by_key = looked(view, limits=["contract"], key="acme")["contract"]
    assert (by_key["remaining"], by_key["key"]) == (4, "acme")
    assert looked(view, limits=["contract"], key="acme", cost=5)["contract"]["is_allowed"] is False


@pytest.mark.parametrize(
    ("asked", "key", "remaining"),
    [
        ({"endpoint": "10.0.0.1:80"}, "10.0.0.1:80", 1),
        ({"key": "10.0.0.1:80"}, "10.0.0.1:80", 1),
        ({"upstream": "orders"}, "10.0.0.2:80", 4),
        ({"route": "orders"}, "10.0.0.2:80", 4),
    ],
)
def test_of_a_limit_of_endpoints_the_one_that_was_said_is_told_or_the_one_with_most_room(view, asked, key, remaining):
    told = looked(view, limits=["each"], **asked)["each"]
    assert (told["key"], told["remaining"]) == (key, remaining)
    if "key" not in asked:
        assert looked(view, **asked).keys() == LIMITS.keys()


def test_digest_is_the_value_of_a_key_that_is_presented(view):
    worker = CompiledLimit(
        "by_key", LIMITS["by_key"], view.snapshot.places["by_key"], view.region.mapping, view.region.secret
    )
    assert worker.key.fingerprint_of_text(f"sha256:{DIGEST}".encode())
    assert looked(view, limits=["by_key"], key=f"sha256:{DIGEST}")["by_key"]["is_allowed"]


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"limits": ["kontract"]}, LookupError, "no limit is named kontract; there are contract, by_key"),
        ({"auth": "nobody"}, LookupError, r"there is no \[auth.nobody\]"),
        ({"auth": "partners"}, ValueError, "no key that"),
        ({"auth": "partners", "headers": {"X-API-Key": "lake"}}, ValueError, "no key that"),
        ({"limits": ["both"], "key": "ann"}, ValueError, "has 2 parts"),
        ({"limits": ["each"]}, ValueError, "each is asked of endpoints: say `endpoint`"),
        ({"url": "nonsense"}, ValueError, "expected a URL"),
        ({"method": "G ET"}, ValueError, "not a whole request head"),
    ],
)
def test_what_cannot_be_looked_at_is_said(view, asked, error, message):
    with pytest.raises(error, match=message):
        looked(view, **asked)


def test_another_configuration_is_looked_at_when_it_is_active(view):
    peeks = Peeks(view)
    assert len(peeks.answer(PeekRequest())) == 5
    limits = {"contract": LIMITS["contract"]}
    gateway = Gateway(listeners=GATEWAY.listeners, limits=limits)
    view.snapshot = Snapshot.build(gateway, number=2, places=allot(view.snapshot.places, limits, MEMORY)[0])
    assert [one["limit"] for one in peeks.answer(PeekRequest())] == ["contract"]


def test_what_is_told_has_a_place_in_json(view):
    assert json.loads(json.dumps(Peeks(view).answer(PeekRequest())))[0]["wait_s"] == 0
