"""A limit without room for its keys is counted, and said once."""

import pytest

from tidegate.config.allotment import SET_BYTES, allot, room_of
from tidegate.config.limits import Limit
from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
from tidegate.memory.rates import RateTable
from tidegate.memory.region import Region
from tidegate.observe.limit_rooms import LimitRoom, LimitRooms

MEMORY = 1 << 20
LIMITS = {
    "edge": Limit(rate="1/d", key=("client.ip",), keys=64),
    "month": Limit(quota=5, window=86400.0, key=("client.ip",), keys=64),
    "permits": Limit(concurrency=5, key=("client.ip",), keys=64),
}


def snapshot_of(before=None, **limits):
    places, _ = allot({} if before is None else before.places, limits, MEMORY)
    return Snapshot.build(Gateway(listeners=(Listener(bind="127.0.0.1:1"),), limits=limits), places=places)


class Bench:
    def __init__(self):
        self.region = Region.create(1, **room_of(MEMORY))
        self.snapshot = snapshot_of(**LIMITS)
        self.said = []
        self.rooms = LimitRooms(
            self.region,
            lambda: self.snapshot,
            lambda kind, message, level="warning", **fields: self.said.append((kind, fields["limit"])),
        )

    def spray(self, name, keys=1000, number=1):
        place = self.snapshot.places[name]
        table = RateTable(self.region.mapping, place.at * SET_BYTES, place.units - 1)
        for key in range(keys):
            table.charge((key * number + 1) * 0x9E3779B97F4A7C15 % 2**64, 1, 10**15, 10**18)


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.region.close()


def test_limits_with_room_are_counted_as_nothing_and_nothing_is_said(bench):
    bench.rooms.look()
    bench.spray("edge", keys=20)
    bench.rooms.look()
    assert bench.rooms.rooms == dict.fromkeys(LIMITS, LimitRoom())
    assert bench.said == []


def test_keys_that_are_given_up_are_counted_and_said_once(bench):
    bench.rooms.look()
    bench.spray("edge")
    bench.rooms.look()
    first = bench.rooms.rooms["edge"].evictions
    assert first > 500
    bench.spray("edge", number=7)
    bench.rooms.look()
    assert bench.rooms.rooms["edge"].evictions > first
    assert bench.rooms.rooms["month"] == LimitRoom()
    assert bench.said == [("limit_table_full", "edge")]


def test_what_a_table_counted_before_it_was_this_limits_is_not_told(bench):
    bench.spray("edge")
    bench.rooms.look()
    assert bench.rooms.rooms["edge"] == LimitRoom()
    assert bench.said == []


def test_requests_without_a_row_of_permits_are_counted(bench):
    bench.rooms.look()
    meters = bench.region.slot(0).take_meters()
    meters.record_limit(meters.series_index("limit", "permits"), "crowded", 3)
    bench.rooms.look()
    assert bench.rooms.rooms["permits"] == LimitRoom(crowded=3)
    assert bench.said == [("limit_table_full", "permits")]


def test_limits_that_are_gone_are_forgotten(bench):
    bench.rooms.look()
    bench.spray("edge")
    bench.snapshot = snapshot_of(bench.snapshot, month=LIMITS["month"])
    bench.rooms.look()
    assert list(bench.rooms.rooms) == ["month"]
    bench.snapshot = snapshot_of(bench.snapshot, **LIMITS)
    bench.rooms.look()
    assert bench.rooms.rooms["edge"] == LimitRoom()
