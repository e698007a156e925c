"""The probe itself: what tests are built on has to notice what it is there to notice."""

import pytest

from tidegate.config.upstreams import Pool as Bounds
from tidegate.upstream import probe
from tidegate.upstream.balance import P2C
from tidegate.upstream.endpoint import Endpoint
from tidegate.upstream.peer import Peer
from tidegate.upstream.pool import Pool
from tidegate.upstream.probe import ProbeConnection, ProbeWaiter


def test_connection_and_waiter_record_what_happens_to_them() -> None:
    pool = Pool(Peer("10.0.0.5", 1), Bounds(max=1, idle=0))
    assert probe.decide(pool, pool.peer, 0) == ("dial", None)
    connection, waiter = ProbeConnection(), ProbeWaiter()
    probe.adopt(pool, connection, 0)
    probe.wait(pool, waiter, 0)
    assert probe.waiters(pool) == [waiter]
    probe.give_back(pool, connection, 0)
    assert waiter.outcomes == [connection] and connection.is_in_pool
    probe.give_back(pool, connection, 0)
    assert connection.closed == 1 and not connection.is_in_pool
    assert ProbeConnection().serial == connection.serial + 1


def test_loops_do_what_they_say_and_stop_when_they_cannot() -> None:
    pool = Pool(Peer("10.0.0.5", 1), Bounds())
    upstream = P2C("orders")
    upstream.replace_endpoints([Endpoint(pool)])
    for loop in (lambda: probe.repeat_reuse(pool, 1), lambda: probe.repeat_way(upstream, 1)):
        with pytest.raises(RuntimeError, match="nothing idle"):
            loop()
        probe.dial_failed(pool, 0)
    connection = ProbeConnection()
    probe.decide(pool, pool.peer, 0)
    probe.adopt(pool, connection, 0)
    probe.give_back(pool, connection, 0)
    probe.repeat_reuse(pool, 10)
    probe.repeat_way(upstream, 10)
    probe.repeat_picks(upstream, 10)
    probe.repeat_waits(pool, 10)
    assert (connection.uses, upstream.endpoints[0].picks, pool.open, pool.waiting) == (21, 20, 1, 0)
