import dataclasses
import time

import pytest
from tests.admin.views import view_of

from tidegate.admin.status import status_document
from tidegate.cache.report import CacheReport
from tidegate.cache.statistics import CacheStatistics, RemoteStatistics, SourceStatistics, TierStatistics
from tidegate.config.allotment import SET_BYTES, allot, room_of
from tidegate.config.cache import Cache
from tidegate.config.limits import Limit
from tidegate.config.listeners import Listener
from tidegate.config.redis import Redis
from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.config.snapshot import Snapshot
from tidegate.config.upstreams import Endpoint, Upstream
from tidegate.limits.bell import WorkerBells
from tidegate.limits.limit import Limit as CompiledLimit
from tidegate.memory.fingerprints import Fingerprints
from tidegate.memory.rates import RateTable
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState


@pytest.fixture
def view():
    region = Region.create(2)
    gateway = Gateway(
        server=Server(max_connections=2000),
        listeners=(Listener(bind="127.0.0.1:1"),),
        upstreams={"orders": Upstream(endpoints=(Endpoint(address="10.0.0.5:9001", weight=2),))},
        limits={"edge": Limit(rate="10/s", key=("client.ip",))},
    )
    yield view_of(
        region, snapshot=Snapshot.build(gateway), started_ns=time.monotonic_ns(), ask_to_upgrade=lambda asked: True
    )
    region.close()


def test_everything_known_is_in_it(view):
    slot = view.region.slot(1)
    slot.claim(77, 1, time.monotonic_ns())
    slot.state = SlotState.READY
    meters = slot.take_meters()
    meters.set("connections_open", 500)
    meters.set("exchanges_open", 3)
    meters.count("exchanges_started", 10)
    meters.record_exchange(meters.series_index("upstream", "orders"), 200, 1_000_000)
    meters.record_limit(meters.series_index("limit", "edge"), "refused", 7)
    document = status_document(view)
    worker = document["workers"][1]
    assert (worker["index"], worker["pid"], worker["state"]) == (1, 77, "ready")
    assert (worker["connections"], worker["exchanges"], worker["exchanges_total"]) == (500, 3, 10)
    assert worker["saturation"] == 0.5
    assert document["saturation"] == 0.5
    assert document["snapshot"]["number"] == 0
    assert document["snapshot"]["etag"] == view.snapshot.etag
    assert document["snapshot"]["last_reload"] is None
    (limit,) = document["limits"]
    assert (limit["name"], limit["rate"], limit["key"]) == ("edge", "10/s", ["client.ip"])
    assert (limit["admitted_total"], limit["refused_total"], limit["would_refuse_total"]) == (0, 7, 0)
    (upstream,) = document["upstreams"]
    assert upstream["name"] == "orders"
    assert upstream["endpoints"] == [{"address": "10.0.0.5:9001", "weight": 2}]
    assert upstream["exchanges_total"] == 1


def test_lanes_of_redis_are_told_by_link_and_without_secrets(view):
    redis = Redis(url="redis://gate@10.0.0.7:6379/0", password="env:REDIS_PASSWORD")
    view.snapshot = Snapshot.build(dataclasses.replace(view.snapshot.gateway, redis={"main": redis}))
    assert status_document(view)["redis"] == [{"name": "main", "url": redis.url, "lanes": []}]
    for slot in (0, 1):
        meters = view.region.slot(slot).take_meters()
        lane = meters.series_index("redis_lane", "main data")
        meters.add_to_series(lane, classes=[100, 10, 1, 0, 0, 2])
        meters.set_gauges(lane, 1, 4, 7)
        meters.series_index("redis_lane", "another data")
    (link,) = status_document(view)["redis"]
    (told,) = link["lanes"]
    assert (told["lane"], told["connections"], told["waiting"], told["in_flight"]) == ("data", 2, 8, 14)
    assert (told["commands_total"], told["writes_total"], told["dropped_total"]) == (200, 20, 4)


def test_caches_are_told_by_tier(view):
    view.snapshot = Snapshot.build(dataclasses.replace(view.snapshot.gateway, cache={"a": Cache(), "b": Cache()}))
    for slot in (0, 1):
        meters = view.region.slot(slot).take_meters()
        report = CacheReport("a", meters)
        worker = TierStatistics(hits=10, misses=4, entries=2, bytes=5 << 30, evictions=1, age_s=7.0 + slot)
        report.publish(CacheStatistics("a", worker, 3, 2, 1, 0, 5, 4, 1, 0.5, 6, None, RemoteStatistics(8, 9)))
    told, unused = status_document(view)["caches"]
    assert (told["name"], told["bytes"], told["age_s"], told["waiting"], told["load_s_total"]) == (
        "a",
        10 << 30,
        8,
        4,
        1,
    )
    assert told["tiers"]["worker"]["hits_total"] == 20 and told["tiers"]["origin"]["failures_total"] == 2
    assert told["tiers"]["redis"]["misses_total"] == 18 and "machine" not in told["tiers"]
    assert told["source_age_s"] is None, "it watches none"
    nothing = {"bytes": 0, "age_s": 0, "waiting": 0, "untold": 0, "source_age_s": None, "tiers": {}}
    nothing |= {"load_s_total": 0.0}
    assert unused == {"name": "b", **nothing}
    seen = CacheStatistics("b", worker, 0, 0, 0, 0, 0, 0, 0, 0.0, 0, None, None, SourceStatistics(wholes=1, age_s=1.6))
    CacheReport("b", meters).publish(seen)
    assert status_document(view)["caches"][1]["source_age_s"] == 2


def test_a_loop_that_stands_saturates_its_worker_and_with_it_the_gateway(view):
    slot = view.region.slot(0)
    slot.claim(77, 1, time.monotonic_ns() - 5_000_000_000)
    slot.state = SlotState.READY
    document = status_document(view)
    assert document["workers"][0]["state"] == "stalled"
    assert document["workers"][0]["saturation_signals"]["loop_lag"] > 49
    assert document["saturation"] == document["saturation_signals"]["loop_lag"] > 49


def test_machine_and_suspicion_are_in_it(view):
    document = status_document(view)
    assert document["machine"]["time_wait"] >= 0
    assert document["suspects_itself"] is False


def test_what_an_upstream_was_told_of_is_there(view):
    meters = view.region.slot(0).take_meters()
    series = meters.series_index("upstream", "orders")
    meters.record_upstream(series, failures=2, rtt_ns=1_500_000, open=4, waiting=3)
    (upstream,) = status_document(view)["upstreams"]
    assert (upstream["failures_total"], upstream["connections"], upstream["waiting"]) == (2, 4, 3)
    assert upstream["rtt_ms"] == 1.5


def test_what_limits_remember_is_told():
    limits = {
        "edge": Limit(rate="1/d", key=("client.ip",), keys=64),
        "day": Limit(quota=5, window=60.0),
        "servers": Limit(concurrency=5),
    }
    gateway = Gateway(listeners=(Listener(bind="127.0.0.1:1"),), limits=limits)
    memory = 1 << 20
    places, _ = allot({}, limits, memory)
    region = Region.create(2, **room_of(memory))
    view = view_of(
        region,
        snapshot=Snapshot.build(gateway, places=places),
        started_ns=time.monotonic_ns(),
        ask_to_upgrade=lambda asked: True,
    )
    servers = CompiledLimit(
        "servers",
        limits["servers"],
        places["servers"],
        region.mapping,
        region.secret,
        region.inflight(0),
        WorkerBells(region.bells(), 0),
    )
    place = places["edge"]
    table = RateTable(region.mapping, place.at * SET_BYTES, place.units - 1)
    for number in range(1, 2000):
        table.charge(number * 0x9E3779B97F4A7C15 % 2**64, time.monotonic_ns(), 86_400 * 10**9, 0)
    row = servers.permits.take(Fingerprints(region.secret, "servers").of_key(b""), 5)
    told = {one["name"]: one for one in status_document(view)["limits"]}
    assert told["edge"]["evictions_total"] > 1000
    assert (told["edge"]["in_flight"], told["day"]["evictions_total"]) == (None, 0)
    assert (told["servers"]["in_flight"], told["servers"]["evictions_total"]) == (1, None)
    assert (told["servers"]["waiting"], told["edge"]["waiting"]) == (0, None)
    assert servers.held() == 1
    servers.permits.give_back(row)
    assert servers.held() == 0
    region.close()


def test_who_asks_most_is_in_it(view):
    meters = view.region.slot(1).take_meters()
    hitters = view.region.slot(1).take_hitters()
    hitters.record(meters.series_index("limit", "edge"), 1, b"192.0.2.1", time.monotonic_ns(), refusals=1)
    (one,) = status_document(view)["heavy_hitters"]["limits"]["edge"]["10min"]["keys"]
    assert (one["key"], one["requests"], one["refusals"]) == ("192.0.2.1", 1, 1)
