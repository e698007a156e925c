"""What links count becomes series of the shared meters, and goes on where a dead worker stopped."""

from __future__ import annotations

from tests.redis.links import link_to, run
from tests.redis.servers import Server

from tidegate.memory.meters import MeterReader
from tidegate.memory.region import Region
from tidegate.redis.report import LANE_EVENTS, Report


def test_differences_are_added_and_gauges_are_set(server: Server) -> None:
    async def scenario() -> None:
        region = Region.create(1)
        reader = MeterReader(region.mapping)
        for life in (1, 2):  # the second worker in the slot counts on
            report = Report("main", region.slot(0).take_meters())
            async with link_to(server.address) as link:
                for _ in range(3):
                    await link.data.set("report:1", b"x" * 100)
                    report.publish(link.statistics(), link.meters)
                places = reader.places()
                command = reader.read("redis_command", "main SET", places["redis_command", "main SET"])
                assert command.classes[:2] == (3 * life, 0)
                assert sum(command.buckets) == 3 * life and command.duration_ns > 0
                lane = reader.read("redis_lane", "main data", places["redis_lane", "main data"])
                events = dict(zip(LANE_EVENTS, lane.classes, strict=True))
                assert (events["commands"], events["writes"], events["connects"]) == (3 * life, 3 * life, life)
                assert reader.gauges(places["redis_lane", "main data"]) == (1, 0, 0)
                keys = reader.read("redis_keys", "main report", places["redis_keys", "main report"])
                assert keys.classes[0] == 3 * life and keys.bytes_out > 300 * life
        region.close()

    run(scenario())


def test_lanes_of_several_nodes_are_one(server: Server) -> None:
    async def scenario() -> None:
        region = Region.create(1)
        report = Report("main", region.slot(0).take_meters())
        async with link_to(server.address) as link:
            await link.data.ping()
            told = link.statistics()
            report.publish(told._replace(lanes=told.lanes * 3), link.meters)
        reader = MeterReader(region.mapping)
        where = reader.places()["redis_lane", "main data"]
        assert reader.read("redis_lane", "main data", where).classes[0] == 3
        assert reader.gauges(where) == (3, 0, 0)
        region.close()

    run(scenario())
