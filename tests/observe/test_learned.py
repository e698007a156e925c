"""Where adaptive limits stand, for those who look."""

from collections.abc import Iterator

import pytest

from tidegate.config.adaptive import Adaptive
from tidegate.config.allotment import allot
from tidegate.config.limits import Limit
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
from tidegate.config.upstreams import Endpoint, Upstream
from tidegate.limits.keys import RequestKey
from tidegate.limits.learner import Learner
from tidegate.memory.fingerprints import Fingerprints
from tidegate.memory.region import Region
from tidegate.observe.learned import documents, learned_families, learned_in
from tidegate.observe.metrics import Metrics

S = 1_000_000_000
MS = 1_000_000
LIMITS = {
    "backend": Limit(adaptive=Adaptive(floor=5, initial=20, samples_min=1, suggest=True)),
    "tenants": Limit(adaptive=Adaptive(initial=30, samples_min=1), key=("header:X-Tenant",), keys=64),
    "quiet": Limit(adaptive=Adaptive(algorithm="vegas")),
    "fixed": Limit(concurrency=5),
}
PLACES, _ = allot({}, LIMITS, 1 << 26)
SNAPSHOT = Snapshot.build(Gateway(listeners=(), limits=LIMITS), places=PLACES)


@pytest.fixture
def region() -> Iterator[Region]:
    made = Region.create(2, 1, 1)
    for name, fingerprint in (("backend", Fingerprints(made.secret, "backend").of_key(b"")), ("tenants", 0xABCD << 32)):
        settings, place = LIMITS[name].adaptive, PLACES[name]
        assert settings is not None
        one = Learner(name, settings, made.adaptive(0), place.learns_at, place.learners, 10 * S)
        one.limit_of(fingerprint)
        for _ in range(30):
            one.teach(fingerprint, 10 * S, 50 * MS, 20)
        assert one.tick(11 * S) == 1
    yield made
    made.close()


def test_each_limit_and_key_is_as_it_stands(region: Region) -> None:
    found = learned_in(region, SNAPSHOT)
    assert [(one.name, one.key, one.limit) for one in found] == [
        ("backend", None, 22),
        ("tenants", "0000abcd0000", 33),
        ("quiet", None, 20),
    ]
    (document,) = documents(found, "backend")
    assert document.pop("changed_s_ago") >= 0
    assert document.pop("floor_ms") == pytest.approx(50, rel=0.2)
    assert document == {
        "key": None,
        "limit": 22,
        "in_flight_max": 20,
        "queue_delay_ms": 0.0,
        "target_ms": document["target_ms"],
        "why": "short_queue",
        "changed_from": 20,
        "decisions_total": 1,
        "suggested": 25,
    }
    (quiet,) = documents(found, "quiet")
    assert quiet == {"key": None, "limit": 20, "why": "nothing_yet", "decisions_total": 0}


def test_metrics_tell_of_limits_and_not_of_keys(region: Region) -> None:
    families = {metric.name: samples for metric, samples in learned_families(learned_in(region, SNAPSHOT))}
    backend = {"limit": "backend", "endpoint": ""}
    assert families["tidegate_adaptive_limit"] == [(backend, 22), ({"limit": "quiet", "endpoint": ""}, 20)]
    assert families["tidegate_adaptive_suggested"] == [(backend, 25)]
    whys = {labels["why"]: value for labels, value in families["tidegate_adaptive_decision"]}
    assert {why for why, value in whys.items() if value} == {"short_queue"}
    text = "".join(Metrics(region, snapshot=lambda: SNAPSHOT).slices())
    assert 'tidegate_adaptive_in_flight{limit="backend",endpoint=""} 20\n' in text
    assert "tidegate_adaptive" not in "".join(Metrics(region).slices())


def test_endpoints_are_told_by_their_addresses(region: Region) -> None:
    limits = {"each": Limit(adaptive=Adaptive(algorithm="aimd", samples_min=1), key=("endpoint",), keys=64)}
    upstream = Upstream(endpoints=(Endpoint(address="10.0.0.5:80"), Endpoint(address="10.0.0.6:80")))
    places, _ = allot({}, limits, 1 << 26)
    snapshot = Snapshot.build(Gateway(listeners=(), limits=limits, upstreams={"u": upstream}), places=places)
    settings, place = limits["each"].adaptive, places["each"]
    assert settings is not None
    one = Learner("each", settings, region.adaptive(0), place.learns_at, place.learners, 10 * S)
    key = RequestKey(region.secret, "each", limits["each"].key_parts)
    for address in (b"10.0.0.6:80", b"10.9.9.9:80"):
        one.limit_of(key.fingerprint_of_text(address))
    found = learned_in(region, snapshot)
    assert [learned.is_endpoint for learned in found] == [True, False], "the second was an address once"
    assert (found[0].key, found[0].limit) == ("10.0.0.6:80", 20)
    families = {metric.name: samples for metric, samples in learned_families(found)}
    assert families["tidegate_adaptive_limit"] == [({"limit": "each", "endpoint": "10.0.0.6:80"}, 20)]
