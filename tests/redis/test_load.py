"""How busy servers are: the arithmetic, and a real server that one of two workers looks at."""

from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families
from tests.redis.links import Log, link_to, run, until
from tests.redis.servers import Server

from tidegate.config.redis import Redis
from tidegate.memory.meters import MeterReader
from tidegate.memory.region import Region
from tidegate.memory.single_flight import SingleFlight
from tidegate.observe.metrics import Metrics
from tidegate.redis import load
from tidegate.redis.links import Links
from tidegate.redis.load import LoadWatch, NodeLoad, Reading


def read_all(node: NodeLoad, *shares: float) -> None:
    """Readings ten seconds apart, with the main thread busy for these shares of the time and 1000 commands a second."""
    node.read(reading := Reading(0.0, 0.0, 0))
    for share in shares:
        reading = Reading(reading.at_s + 10, reading.busy_s + 10 * share, reading.commands + 10_000)
        node.read(reading)


def test_each_change_of_state_is_one_line() -> None:
    log = Log()
    node = NodeLoad("main", "10.0.0.1:6379", log.say)
    read_all(node, 0.69, 0.8, 0.9, 0.65, 0.7, 0.59, 0.65)
    assert log.kinds == ["redis_busy", "redis_calm"]
    assert not node.is_busy
    assert log[0].fields == {
        "level": "warning", "redis": "main", "node": "10.0.0.1:6379", "busy": 0.8, "commands_per_s": 1000
    }  # fmt: skip
    assert "it can do about 1250 of these" in log[0].message


def test_a_server_that_was_started_anew_is_measured_anew() -> None:
    log = Log()
    node = NodeLoad("main", "10.0.0.1:6379", log.say)
    assert node.read(Reading(0.0, 500.0, 9000)) is None
    assert node.read(Reading(10.0, 9.0, 100)) is None, "its counts begin again"
    load = node.read(Reading(20.0, 10.0, 300))
    assert load is not None
    assert (load.share, load.rate) == (0.1, 20.0)
    assert not log


def test_a_server_that_does_not_tell_has_no_reading() -> None:
    cpu = b"# CPU\r\nused_cpu_sys:1.5\r\nused_cpu_user:2.5\r\n"
    main = b"used_cpu_sys_main_thread:1.25\r\nused_cpu_user_main_thread:2.25\r\n"
    stats = b"# Stats\r\ntotal_commands_processed:17\r\n"
    assert Reading.of(cpu + main + stats, 1.0) == Reading(1.0, 3.5, 17)
    assert Reading.of(cpu + stats, 1.0) is None
    assert Reading.of(cpu + main, 1.0) is None


def test_one_worker_of_the_machine_looks_and_another_follows_it(server: Server) -> None:
    async def scenario() -> None:
        region = Region.create(2)
        async with link_to(server.address) as link:
            log, links = Log(), {"main": link}
            one, two = (
                LoadWatch(
                    links,
                    SingleFlight(region.mapping, region.secret, slot),
                    region.slot(slot).take_meters(),
                    log.say,
                )
                for slot in range(2)
            )
            assert not await one.look(), "nobody uses the link"
            await link.data.ping()
            assert await one.look() and not await two.look()
            await asyncio.gather(*(link.data.ping() for _ in range(500)))
            assert await one.look() and not await two.look()
            one.close()
            assert await two.look()
            two.close()
            asked = {command.name: command.count for command in link.meters.every_command()}["INFO"]
            assert asked == 3 * 2, "two sections each time"
            text = (await Metrics(region).render()).decode()
        region.close()
        found = {
            sample.name: (sample.value, sample.labels)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        commands, labels = found["tidegate_redis_node_commands_total"]
        assert labels == {"redis": "main", "node": server.address}
        assert 500 <= commands < 100_000
        assert found["tidegate_redis_node_busy_seconds_total"][0] > 0
        assert "tidegate_redis_lane_events_total" not in found, "a server is no lane"

    run(scenario())


def test_a_server_that_is_away_or_refuses_is_not_measured(server: Server) -> None:
    async def scenario() -> None:
        region = Region.create(1)
        server.ask("ACL", "SETUSER", "default", "-info")
        try:
            async with link_to(server.address) as link:
                await link.data.ping()
                flights = SingleFlight(region.mapping, region.secret, 0)
                watch = LoadWatch({"main": link}, flights, region.slot(0).take_meters(), Log().say)
                assert await watch.look() and await watch.look()
                link.close()
                assert await watch.look()
                watch.close()
                assert ("redis_lane", f"main node {server.address}") not in MeterReader(region.mapping).places()
        finally:
            server.ask("ACL", "SETUSER", "default", "+info")
        region.close()

    run(scenario())


def test_links_are_watched_by_themselves(server: Server, monkeypatch) -> None:
    monkeypatch.setattr(load, "READ_S", 0.01)

    async def scenario() -> None:
        region = Region.create(1)
        flights = SingleFlight(region.mapping, region.secret, 0)
        links = Links(region.slot(0).take_meters(), Log().say, flights=flights)
        links.configure({"main": Redis(url=f"redis://{server.address}")})
        await links["main"].data.ping()
        series = ("redis_lane", f"main node {server.address}")
        await until(lambda: series in MeterReader(region.mapping).places())
        assert flights.is_flying(b"load of redis")
        links.close()
        assert not flights.is_flying(b"load of redis"), "another worker may"
        region.close()

    run(scenario())
