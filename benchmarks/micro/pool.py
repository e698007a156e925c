"""What a pool costs a request: finding an idle connection and giving it back, or queueing for one."""

from tidegate.config.upstreams import Pool as Bounds
from tidegate.upstream import probe
from tidegate.upstream.peer import Peer
from tidegate.upstream.pool import Pool


def pool_with_idle(count: int, **bounds: int) -> Pool:
    pool = Pool(Peer("10.0.0.5", 9001), Bounds(**bounds))
    connections = [probe.ProbeConnection() for _ in range(count)]
    for connection in connections:
        probe.decide(pool, pool.peer, 1000)
        probe.adopt(pool, connection, 1000)
    for connection in connections:
        probe.give_back(pool, connection, 1000)
    return pool


ONE = pool_with_idle(1)
MANY = pool_with_idle(256)
EMPTY = pool_with_idle(0)

CASES = {
    "decide and give back, 1 idle": lambda n: probe.repeat_reuse(ONE, n),
    "decide and give back, 256 idle": lambda n: probe.repeat_reuse(MANY, n),
    "wait and leave": lambda n: probe.repeat_waits(EMPTY, n),
}
