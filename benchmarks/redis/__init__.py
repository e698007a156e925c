"""Figures of the link to Redis: ``python -m benchmarks NAME``. Each starts a server of its own and ends it."""

from collections.abc import Callable, Sequence

from benchmarks.redis import burst, large, link, sessions, stampede

__all__ = ["KNOWN"]

KNOWN: dict[str, Callable[[Sequence[str]], int]] = {
    "redis-large": large.main,
    "redis-link": link.main,
    "redis-ports": burst.main,
    "sessions": sessions.main,
    "stampede": stampede.main,
}
