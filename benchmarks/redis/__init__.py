"""Figures of the link to Redis and of caches: ``python -m benchmarks NAME``. Each starts what it needs and ends it."""

from collections.abc import Callable, Sequence

from benchmarks.redis import burst, hot_record, large, link, sessions, stampede

__all__ = ["KNOWN"]

KNOWN: dict[str, Callable[[Sequence[str]], int]] = {
    "hot-record": hot_record.main,
    "redis-large": large.main,
    "redis-link": link.main,
    "redis-ports": burst.main,
    "sessions": sessions.main,
    "stampede": stampede.main,
}
