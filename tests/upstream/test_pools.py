"""Pools outlive snapshots and are retired with the last claim on them."""

import gc

import pytest

from tidegate.config.upstreams import Pool as Bounds
from tidegate.upstream import probe
from tidegate.upstream.peer import Peer
from tidegate.upstream.pool import Pool
from tidegate.upstream.pools import Pools
from tidegate.upstream.probe import ProbeConnection, ProbeWaiter

HERE = Peer("10.0.0.5", 9001)


def dialled(pool: Pool) -> ProbeConnection:
    assert probe.decide(pool, pool.peer, 0)[0] == "dial"
    connection = ProbeConnection()
    probe.adopt(pool, connection, 0)
    return connection


def test_equal_peers_share_a_pool_with_the_bounds_that_came_last() -> None:
    pools = Pools()
    old = pools.get(HERE, Bounds(max=10))
    new = pools.get(Peer("10.0.0.5", 9001), Bounds(max=20, max_age=None))
    assert old is new
    assert (new.max_open, new.max_age_ms, new.claims, len(pools)) == (20, 0, 2, 1)
    assert pools.get(Peer("10.0.0.5", 9002), Bounds()) is not new


def test_connections_survive_a_new_snapshot() -> None:
    pools = Pools()
    pool = pools.get(HERE, Bounds())
    connection = dialled(pool)
    probe.give_back(pool, connection, 0)
    successor = pools.get(HERE, Bounds())
    pools.release(pool)
    assert probe.decide(successor, HERE, 0) == ("reuse", connection)


def test_last_release_closes_what_is_idle_now_and_the_rest_when_given_back() -> None:
    pools = Pools()
    pool = pools.get(HERE, Bounds())
    idle, used = dialled(pool), dialled(pool)
    probe.give_back(pool, idle, 0)
    pools.release(pool)
    assert (idle.closed, used.closed, pool.is_retired) == (1, 0, True)
    assert repr(pool) == "<Pool 10.0.0.5:9001 open 1/512, idle 0, waiting 0, retired>"
    probe.give_back(pool, used, 0)
    assert (used.closed, pool.open) == (1, 0)


def test_retired_pool_that_is_claimed_again_is_the_same_one() -> None:
    pools = Pools()
    pool = pools.get(HERE, Bounds(max=2))
    used = dialled(pool)
    pools.release(pool)
    again = pools.get(Peer("10.0.0.5", 9001), Bounds(max=2))
    assert again is pool and not again.is_retired and again.open == 1
    probe.give_back(again, used, 0)
    assert (used.closed, again.idle) == (0, 1)


def test_wait_in_a_retired_pool_ends_too() -> None:
    pools = Pools()
    pool = pools.get(HERE, Bounds(max=1, wait_timeout=0.25))
    dialled(pool)
    waiter = ProbeWaiter()
    probe.wait(pool, waiter, 0)
    pools.release(pool)
    pools.expire(250)
    assert waiter.outcomes == ["timeout"]


def test_retired_pool_that_nobody_uses_is_forgotten() -> None:
    pools = Pools()
    for port in range(1, 200):
        pools.release(pools.get(Peer("10.0.0.5", port), Bounds()))
    gc.collect()
    assert repr(pools) == "<Pools 0 peers, 0 retired, open 0, idle 0>"
    assert pools.statistics() == ()


def test_claim_is_given_up_once() -> None:
    pools = Pools()
    pool = pools.get(HERE, Bounds())
    pools.release(pool)
    with pytest.raises(RuntimeError, match="not claimed"):
        pools.release(pool)


def test_expiry_reaches_every_pool() -> None:
    pools = Pools()
    for port in (1, 2, 3):
        pool = pools.get(Peer("10.0.0.5", port), Bounds(idle_timeout=1.0))
        probe.give_back(pool, dialled(pool), 0)
    assert repr(pools) == "<Pools 3 peers, 0 retired, open 3, idle 3>"
    pools.expire(1_000)
    assert [statistics.open for statistics in pools.statistics()] == [0, 0, 0]


def test_close_lets_go_of_what_is_idle() -> None:
    pools = Pools()
    pool = pools.get(HERE, Bounds())
    idle, used = dialled(pool), dialled(pool)
    probe.give_back(pool, idle, 0)
    pools.close()
    probe.give_back(pool, used, 0)
    assert (idle.closed, used.closed) == (1, 1)


def test_waiting_and_fullness_are_those_of_all_pools() -> None:
    pools = Pools()
    assert (pools.count_waiting(), pools.fullest_ppm()) == (0, 0)
    small, large = pools.get(HERE, Bounds(max=2)), pools.get(Peer("10.0.0.5", 9002), Bounds(max=10))
    first, _ = dialled(small), dialled(small)
    dialled(large)
    assert pools.fullest_ppm() == 1_000_000
    probe.wait(small, ProbeWaiter(), 0)
    probe.wait(large, ProbeWaiter(), 0)
    assert (pools.count_waiting(), pools.fullest_ppm()) == (2, 1_500_000)
    probe.give_back(small, first, 0)
    assert (pools.count_waiting(), pools.fullest_ppm()) == (1, 1_000_000)
