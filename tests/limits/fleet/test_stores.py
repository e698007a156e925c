"""Who borrows for which limit of a worker, and what is told of it."""

from __future__ import annotations

import asyncio
import time

from tests.redis.links import link_to, run, until
from tests.redis.servers import serving

from tidegate.limits.fleet.stores import FleetStores
from tidegate.memory.meters import FLEET_EVENTS, MeterReader
from tidegate.memory.region import Region
from tidegate.testing.limits import limits

NOW = 1_000_000_000_000


def test_limits_of_one_store_share_its_nodes_and_tell_what_they_borrowed() -> None:
    async def scenario() -> None:
        fleet = {"scope": "fleet", "store": "main"}
        made = limits(
            one={"rate": "100/h", "burst": 9, **fleet},
            two={"rate": "100/h", "burst": 9, **fleet},
            other={"rate": "100/h", "scope": "fleet", "store": "other"},
        )
        region = Region.create(1)
        with serving() as server:
            async with link_to(server.address) as link:
                stores = FleetStores({"main": link}, region.secret, region.slot(0).take_meters())
                for limit in made.values():
                    stores.lend_to(limit)
                assert set(stores.nodes) == {"main", "other"}
                leased = made["one"].allowed[0]
                table = made["one"].lease_table

                def borrowed() -> bool:
                    now_ns = time.monotonic_ns()
                    return bool(leased.take(5, now_ns) == 0)

                await until(borrowed)
                assert server.ask("EXISTS", "tidegate:{0000000000000005}:one") == 1
                assert table.credits(5, time.monotonic_ns() // 1_000_000) == (0, 0)
                # A reload makes another lender, and what the one before did stays counted.
                stores.lend_to(made["one"])
                stores.report()
                reader = MeterReader(region.mapping)
                counts = reader.read("fleet", "one", reader.places()["fleet", "one"]).classes
                told = dict(zip(FLEET_EVENTS, counts, strict=False))
                assert told["asked"] >= told["borrowed"] == 1
                assert reader.gauges(reader.places()["fleet", "one"])[1] == 1
                stores.close()
                stores.close()
        region.close()

    run(scenario())


def test_a_store_that_no_link_leads_to_is_away() -> None:
    async def scenario() -> None:
        made = limits(one={"rate": "100/h", "scope": "fleet", "store": "main", "on_store_failure": "deny"})
        region = Region.create(1)
        stores = FleetStores({}, region.secret, region.slot(0).take_meters())
        stores.lend_to(made["one"])
        made["one"].allowed[0].take(5, NOW)
        await until(lambda: stores.lenders["one"].is_store_away)
        await asyncio.sleep(0)
        stores.close()
        region.close()

    run(scenario())
