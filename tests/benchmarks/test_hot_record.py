"""The flood around a hot record, in small, with a real clock; and what is concluded from it."""

from __future__ import annotations

import asyncio

import pytest
from benchmarks.redis import hot_record
from benchmarks.redis.hot_record import RECORDS, TIERS, Told

ROOM, RECORD_BYTES, COUNT = 2 << 20, 200_000, 6_000


@pytest.mark.parametrize("tier", TIERS)
def test_a_record_in_use_is_fetched_once_whatever_floods_its_cache_and_whenever_it_comes(tier: str) -> None:
    with TIERS[tier](ROOM) as flooded:
        flood = hot_record.play(flooded, count=COUNT, per_s=20_000, record_bytes=RECORD_BYTES, every_s=0.01)
        told = asyncio.run(flood)
    assert told.fetched == dict.fromkeys(RECORDS, 1)
    assert all(told.reads[record] > 2 for record in RECORDS)
    assert told.evicted > COUNT / 2, "there was no flood"


def test_a_second_fetch_and_a_slow_flood_are_misses() -> None:
    fine = Told(10_000, {"first": 60, "late": 42}, {"first": 1, "late": 1}, 500_000)
    assert all(one.met for one in hot_record.judged("at hand", fine)[1])
    twice = fine._replace(fetched={"first": 1, "late": 2})
    assert [one.met for one in hot_record.judged("on the machine", twice)[1]] == [True, False]
    assert not hot_record.judged("at hand", fine._replace(cold_per_s=9_000))[1][0].met
