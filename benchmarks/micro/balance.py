"""What choosing an endpoint costs, alone and with the pool: all that ``upstream`` does for one request."""

from collections.abc import Callable
from functools import partial

from benchmarks.micro.pool import pool_with_idle
from tidegate.config.upstreams import Pool as Bounds
from tidegate.upstream import balance, probe
from tidegate.upstream.endpoint import Endpoint, Upstream
from tidegate.upstream.peer import Peer
from tidegate.upstream.pool import Pool

WAYS = [balance.P2C, balance.RoundRobin, balance.LeastRequest, balance.Random, balance.ConsistentHash]


def group(way: type[balance.Balanced], count: int, *, with_connections: bool = False) -> Upstream:
    upstream = way("orders", seed=1)
    pools = [
        pool_with_idle(4) if with_connections else Pool(Peer("10.0.0.5", 9001 + i), Bounds()) for i in range(count)
    ]
    upstream.replace_endpoints([Endpoint(pool) for pool in pools])
    return upstream


def cases() -> dict[str, Callable[[int], None]]:
    found: dict[str, Callable[[int], None]] = {}
    for way in WAYS:
        for count in (2, 3, 10, 100):
            found[f"{way.__name__} of {count}"] = partial(probe.repeat_picks, group(way, count))
        for count in (2, 3):
            upstream = group(way, count, with_connections=True)
            found[f"{way.__name__} of {count}, with pool"] = partial(probe.repeat_way, upstream)
    for key in (b"10.0.0.1", b"/orders/2025/11/21/items?id=42"):
        found[f"hash of {len(key)} bytes"] = partial(probe.repeat_hash, key)
    return found


CASES = cases()
