"""What a cache says of itself."""

from __future__ import annotations

from tests.cache.caches import Clock, Origin, cache
from tests.redis.links import run

from tidegate.cache.sizes import ENTRY_BYTES


def test_bytes_entries_and_age_are_of_what_is_there() -> None:
    async def scenario() -> None:
        clock = Clock()
        one = cache(clock)
        assert one.statistics().worker == (0, 0, 0, 0, 0, 0.0)
        await one.get("k", Origin(b"x" * 967).load)  # a thousand, as Python counts
        clock.now += 7.0
        seen = one.statistics()
        assert seen.worker == (0, 1, 1, ENTRY_BYTES + 1000, 0, 7.0)
        assert (seen.name, seen.loads, seen.invalidations) == ("test", 1, 0)
        await one.invalidate("k")
        assert one.statistics().invalidations == 1 and one.statistics().worker.bytes == 0
        assert "loads=1" in repr(one)

    run(scenario())
