"""A lender and a real store: what it borrows, gives back and decides, while the store is there, slow, or gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.redis.links import link_to, run, until
from tests.redis.servers import Server, serving

from tidegate.config.limits import Limit as Settings
from tidegate.limits.fleet.allowance import OWED_FAILURES, QuotaAllowance, RateAllowance
from tidegate.limits.fleet.lender import Lender
from tidegate.limits.fleet.nodes import Nodes
from tidegate.limits.leased import PENDING, LeasedLimit
from tidegate.memory.leases import LeaseTable
from tidegate.memory.region import Region
from tidegate.memory.tables import bytes_for
from tidegate.redis.single import SingleLink
from tidegate.testing.relay import Relay

KEY = 0xFEDCBA9876543210
STORED = "tidegate:{fedcba9876543210}:real"


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


Allowance = RateAllowance | QuotaAllowance


def lender_of(link: SingleLink, allowance: Allowance, policy: Any, name: str) -> tuple[Lender, LeasedLimit]:
    region = Region.create(1, quotas=bytes_for(8))
    table = LeaseTable(region.mapping, 0, 8)
    region.close()
    settings = Settings(rate="1/s", scope="fleet", store="main", on_store_failure=policy, keys=64)
    nodes = Nodes(lambda: link, name)
    lender = Lender("real", settings, [allowance], table, link=lambda: link, nodes=nodes, now_ms=now_ms)
    return lender, LeasedLimit(table, 0, lender)


@asynccontextmanager
async def lending(
    server: Server, allowance: Allowance, policy: Any = "share", through: str = "", name: str = "one"
) -> AsyncIterator[tuple[Lender, LeasedLimit]]:
    async with link_to(through or server.address) as link:
        lender, limit = lender_of(link, allowance, policy, name)
        try:
            yield lender, limit
        finally:
            lender.close()
            lender.nodes.close()


async def verdict(limit: LeasedLimit, cost: int = 1) -> int:
    """What a request is told that waits for as long as it takes."""
    found = PENDING
    while found == PENDING:
        found = limit.take(KEY, time.monotonic_ns(), cost)
        await asyncio.sleep(0.001)
    return found


def test_what_it_borrows_is_in_the_store_and_what_is_not_used_comes_back() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with lending(server, RateAllowance(10, 3600, 99)) as (lender, limit):
                assert await verdict(limit, 60) == 0
                assert lender.counts.borrowed == 60
                full_ms = 100 * 360_000
                assert 59 * 360_000 < server.ask("PTTL", STORED) <= 60 * 360_000 + 1
                assert limit.table.ask(KEY, now_ms(), now_ms() + 500)
                lender.borrow(0, KEY, KEY, 40)  # for somebody who then leaves
                await until(lambda: server.ask("PTTL", STORED) > 99 * 360_000)
                assert (await verdict(limit, 41)) < 0
                await until(lambda: lender.counts.returned == 40)
                assert server.ask("PTTL", STORED) <= 60 * 360_000 + 1 < full_ms

    run(scenario())


def test_two_machines_share_one_bucket_and_the_clock_of_the_store() -> None:
    async def scenario() -> None:
        allowance = RateAllowance(10, 3600, 9)
        with serving() as server:
            async with lending(server, allowance) as (_, one), lending(server, allowance) as (_, other):
                found = [await verdict(limit) for _ in range(6) for limit in (one, other)]
                assert [each == 0 for each in found] == [True] * 10 + [False] * 2

    run(scenario())


def test_primary_that_dies_before_its_replica_has_heard_lets_in_one_bucket_more() -> None:
    async def scenario() -> None:
        allowance = RateAllowance(10, 3600, 9)
        with serving("--repl-diskless-sync-delay", "0") as primary, serving() as replica:
            replica.ask("REPLICAOF", "127.0.0.1", primary.port)
            await until(lambda: b"master_link_status:up" in replica.ask("INFO", "replication"))
            with Relay(primary.address) as relay:
                async with lending(primary, allowance, through=relay.address) as (_, limit):
                    replica.ask("REPLICAOF", "NO", "ONE")  # it hears nothing from here on
                    assert [(await verdict(limit)) == 0 for _ in range(10)] == [True] * 10
                    relay.target = replica.address
                    primary.kill()
                    relay.cut()
                    limit.table.free(KEY, now_ms())
                    admitted = 0

                    async def one_more() -> bool:
                        nonlocal admitted
                        is_in = await verdict(limit) == 0
                        admitted += is_in
                        return is_in

                    # The store is away for a moment: one share of its own, and then the bucket of the replica.
                    deadline = time.monotonic() + 60
                    while server_keys(replica) == 0 and time.monotonic() < deadline:
                        await one_more()
                        limit.table.free(KEY, now_ms())
                        await asyncio.sleep(0.01)
                    while await one_more():
                        pass
                    assert 10 <= admitted + 1 <= allowance.holds + 1

    run(scenario())


def server_keys(server: Server) -> int:
    return int(server.ask("EXISTS", STORED))


def test_store_that_answers_late_is_as_if_it_were_away_and_its_answer_is_used_all_the_same() -> None:
    async def scenario() -> None:
        with serving() as server, Relay(server.address) as relay:
            async with lending(server, RateAllowance(10, 3600, 9), "deny", through=relay.address) as (lender, limit):
                assert await verdict(limit) == 0
                relay.hold()
                assert limit.take(KEY, time.monotonic_ns()) == PENDING
                lender.decide(0, KEY, KEY, 1)  # as a request does that has waited for as long as it may
                assert limit.take(KEY, time.monotonic_ns()) < PENDING
                relay.release()
                await until(lambda: lender.counts.borrowed == 2 or lender.counts.failed)
                await until(lambda: limit.take(KEY, time.monotonic_ns()) == 0)

    run(scenario())


DAY_MS = 86_400_000
COUNTED = f"{STORED}:{DAY_MS}-first_use"


def test_machines_share_a_quota_to_the_last_and_give_back_what_they_did_not_use() -> None:
    async def scenario() -> None:
        quota = QuotaAllowance(3000, DAY_MS, "first_use")
        with serving() as server:
            async with (
                lending(server, quota, name="one") as (one, limit),
                lending(server, quota, name="other") as (other, second),
            ):
                one.nodes.begin()
                other.nodes.begin()
                await until(lambda: one.nodes.count == other.nodes.count == 2)
                assert await verdict(limit) == 0
                assert one.counts.borrowed > 10
                await until(lambda: server.ask("HGET", COUNTED, "n:one") == b"1")
                assert limit.table.held(KEY, now_ms())[0] == 1
                admitted, refused_in_a_row = 1, 0
                deadline = time.monotonic() + 60
                while admitted < 3000 and time.monotonic() < deadline:
                    found = [await verdict(each) == 0 for each in (limit, second)]
                    admitted += sum(found)
                    if not any(found):
                        refused_in_a_row += 1
                        limit.table.free(KEY, now_ms())  # in less time than it is closed for
                        second.table.free(KEY, now_ms())
                # What an answer lent that came too late is lost to the quota.
                assert 2900 <= admitted <= 3000
                await until(lambda: sum(map(int, server.ask("HMGET", COUNTED, "n:one", "n:other"))) >= admitted)

    run(scenario())


def test_quota_that_the_store_has_forgotten_is_told_to_it_again() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with lending(server, QuotaAllowance(50, DAY_MS, "first_use"), name="one") as (_, limit):
                assert [await verdict(limit) for _ in range(20)] == [0] * 20
                server.ask("FLUSHALL")
                admitted = 0
                while await verdict(limit) == 0:
                    admitted += 1
                assert admitted == 30
                assert server.ask("HGET", COUNTED, "n:one") == b"50"

    run(scenario())


def test_share_of_a_quota_is_what_is_left_of_the_part_of_a_node() -> None:
    async def scenario() -> None:
        with serving() as server:
            quota = QuotaAllowance(60, DAY_MS, "first_use")
            async with (
                lending(server, quota, name="one") as (lender, limit),
                lending(server, quota, name="two") as (two, _),
            ):
                two.nodes.begin()
                lender.nodes.begin()
                await until(lambda: lender.nodes.count == 2)
                assert [await verdict(limit) for _ in range(10)] == [0] * 10
                server.kill()
                admitted = 0
                while await verdict(limit) == 0:
                    admitted += 1
                assert admitted == 60 // 2 - 10
                # It is told when the store is back, which has forgotten all.
                server.start()
                # An answer that was too late has been heard all the same: it may be told twice, and is never told less.
                await until(lambda: int(server.ask("HGET", COUNTED, "n:one") or 0) >= 30)

    run(scenario())


def test_rate_of_nobody_asks_no_store() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with lending(server, RateAllowance(0, 1)) as (lender, limit):
                assert await verdict(limit) < 0
                assert lender.counts.asked == 0

    run(scenario())


def test_key_of_the_wrong_kind_in_the_store_is_as_if_it_were_away() -> None:
    async def scenario() -> None:
        with serving() as server:
            server.ask("LPUSH", STORED, "x")
            async with lending(server, RateAllowance(1, 3600), "deny") as (lender, limit):
                assert await verdict(limit) < 0
                assert lender.counts.failed == 1

    run(scenario())


def test_gateways_with_another_window_of_a_quota_count_apart_until_all_have_it() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with (
                lending(server, QuotaAllowance(4, DAY_MS, "first_use"), name="before") as (_, before),
                lending(server, QuotaAllowance(6, 3_600_000, "first_use"), name="after") as (_, after),
            ):
                found = [await verdict(limit) == 0 for _ in range(7) for limit in (before, after)]
                assert (sum(found[::2]), sum(found[1::2])) == (4, 6)

    run(scenario())


def test_gateways_with_another_maximum_of_a_quota_count_together() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with (
                lending(server, QuotaAllowance(4, DAY_MS, "first_use"), name="before") as (_, before),
                lending(server, QuotaAllowance(6, DAY_MS, "first_use"), name="after") as (_, after),
            ):
                assert [await verdict(before) == 0 for _ in range(5)] == [True] * 4 + [False]
                assert [await verdict(after) == 0 for _ in range(3)] == [True] * 2 + [False]

    run(scenario())


def test_what_was_served_without_credits_is_owed_whatever_room_there_was() -> None:
    async def scenario() -> None:
        with serving() as server:
            allowance = RateAllowance(10, 3600, 9, OWED_FAILURES)
            async with (
                lending(server, allowance, name="one") as (lender, limit),
                lending(server, allowance) as (_, other),
            ):
                assert await verdict(limit) == 0
                lender.spend(0, KEY, KEY, 0, 30)
                await until(lambda: server.ask("PTTL", STORED) > 30 * 360_000)
                told = await verdict(other)
                assert told < 0
                assert server.ask("PTTL", STORED) <= 31 * 360_000 + 1

    run(scenario())
