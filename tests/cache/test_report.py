"""What caches count, in shared memory."""

from __future__ import annotations

import pytest
from tests.cache.caches import Origin, cache
from tests.redis.links import Log, run, until

from tidegate.cache.caches import Caches
from tidegate.cache.report import CacheReport, bytes_of, split_bytes
from tidegate.config.cache import Cache as Settings
from tidegate.memory.meters import MeterReader
from tidegate.memory.region import Region


@pytest.mark.parametrize("size", [0, 1023, 1024, 64 << 20, (64 << 20) - 1, 5 << 30, 3 << 40])
def test_bytes_fit_two_gauges_and_their_sums_are_those_of_workers(size: int) -> None:
    high, low = split_bytes(size)
    assert 0 <= bytes_of(high, low) - (size - size % 1024) <= 0
    assert bytes_of(3 * high, 3 * low) == 3 * (size - size % 1024)
    assert low < 1 << 16 and high < 1 << 16


def test_only_what_is_new_is_added_and_a_tier_that_was_made_anew_counts_from_nothing() -> None:
    async def scenario() -> None:
        region = Region.create(1)
        report = CacheReport("a", region.slot(0).take_meters())
        reader = MeterReader(region.mapping)

        def hits() -> int:
            return reader.read("cache", "a worker", reader.places()["cache", "a worker"]).classes[0]

        one = cache()
        await one.get("k", Origin().load)
        for _ in range(5):
            await one.get("k")
        for _ in range(3):
            report.publish(one.statistics())
        assert hits() == 5
        one = cache()
        await one.get("k", Origin().load)
        await one.get("k")
        report.publish(one.statistics())
        assert hits() == 6
        region.close()

    run(scenario())


def test_a_worker_tells_by_itself_and_at_its_end() -> None:
    async def scenario() -> None:
        region = Region.create(1)
        caches = Caches(region.generations(), say=Log().say, meters=region.slot(0).take_meters())
        reader = MeterReader(region.mapping)
        caches.configure({"a": Settings()})
        await until(lambda: ("cache", "a worker") in reader.places())
        await caches["a"].get("k", Origin().load)
        caches.close()
        assert reader.read("cache", "a origin", reader.places()["cache", "a origin"]).classes[0] == 1
        region.close()

    run(scenario())
