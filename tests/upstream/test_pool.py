"""Pools: what is handed out to whom, who waits, and what is closed."""

import logging
from typing import Any

import pytest

from tidegate.config.upstreams import Pool as Bounds
from tidegate.upstream import probe
from tidegate.upstream.peer import Peer
from tidegate.upstream.pool import Pool
from tidegate.upstream.pools import Pools
from tidegate.upstream.probe import ProbeConnection, ProbeWaiter
from tidegate.upstream.tls import TlsSettings

HERE = Peer("10.0.0.5", 9001)
# Every one differs from HERE in one field only.
PEERS = [
    HERE,
    Peer("10.0.0.5", 9002),
    Peer("orders", 9001, "10.0.0.5"),
    Peer("10.0.0.5", 9001, source_address="10.0.0.1"),
    Peer("10.0.0.5", 9001, tls=TlsSettings(name="10.0.0.5")),
    Peer("unix:/run/orders.sock"),
]


def pool_of(peer: Peer = HERE, **bounds: Any) -> Pool:
    return Pool(peer, Bounds(**bounds))


def dialled(pool: Pool, now_ms: int = 0) -> ProbeConnection:
    assert probe.decide(pool, pool.peer, now_ms) == ("dial", None)
    connection = ProbeConnection()
    probe.adopt(pool, connection, now_ms)
    return connection


def with_idle(pool: Pool, count: int, now_ms: int = 0) -> list[ProbeConnection]:
    connections = [dialled(pool, now_ms) for _ in range(count)]
    for connection in connections:
        probe.give_back(pool, connection, now_ms)
    return connections


# -- hand-out ----------------------------------------------------------------------------------------------------------


def test_most_recently_used_connection_goes_out_first() -> None:
    pool = pool_of()
    first, second = with_idle(pool, 2)
    assert probe.decide(pool, HERE, 0) == ("reuse", second)
    assert probe.decide(pool, HERE, 0) == ("reuse", first)
    assert probe.decide(pool, HERE, 0)[0] == "dial"
    assert (first.uses, second.uses) == (2, 2)
    assert repr(pool) == "<Pool 10.0.0.5:9001 open 3/512, idle 0, waiting 0>"


@pytest.mark.parametrize("other", PEERS[1:], ids=repr)
def test_pool_asked_for_another_peer_hands_out_nothing(other: Peer) -> None:
    pool = pool_of()
    with_idle(pool, 1)
    assert probe.decide(pool, other, 0) == ("crossed", None)
    assert (pool.crossed, pool.open, pool.idle, pool.dialled) == (1, 1, 1, 1)


@pytest.mark.parametrize("other", PEERS[1:], ids=repr)
def test_connection_to_another_peer_is_closed_and_never_handed_out(other: Peer) -> None:
    pool = pool_of()
    stranger, own = with_idle(pool, 2)[::-1]
    stranger.pretend_peer(other)
    assert probe.decide(pool, HERE, 0) == ("reuse", own)
    assert (stranger.closed, own.closed, pool.open, pool.crossed) == (1, 0, 1, 1)


def test_equal_peer_that_is_another_object_is_served() -> None:
    pool = pool_of()
    (connection,) = with_idle(pool, 1)
    connection.pretend_peer(Peer("10.0.0.5", 9001))
    assert probe.decide(pool, Peer("10.0.0.5", 9001), 0) == ("reuse", connection)


def test_connection_with_something_unread_is_closed_at_hand_out_and_at_give_back() -> None:
    pool = pool_of()
    dirty, clean = with_idle(pool, 2)[::-1]
    dirty.is_fit = False
    assert probe.decide(pool, HERE, 0) == ("reuse", clean)
    clean.is_fit = False
    probe.give_back(pool, clean, 0)
    assert (dirty.closed, clean.closed, pool.open, pool.idle, pool.discarded) == (1, 1, 0, 0, 2)


@pytest.mark.parametrize(
    ("bounds", "later_ms"),
    [({"max_age": 10.0}, 10_000), ({"idle_timeout": 5.0}, 5_000)],
    ids=["max_age", "idle_timeout"],
)
def test_connection_past_its_time_is_not_handed_out(bounds: dict[str, float], later_ms: int) -> None:
    pool = pool_of(**bounds)
    old, _ = with_idle(pool, 2)
    assert probe.decide(pool, HERE, later_ms - 1)[0] == "reuse"
    assert probe.decide(pool, HERE, later_ms)[0] == "dial"
    assert old.closed == 1


def test_connection_is_closed_after_its_last_use() -> None:
    pool = pool_of(max_requests=3)
    (connection,) = with_idle(pool, 1)
    for _ in range(2):
        assert probe.decide(pool, HERE, 0) == ("reuse", connection)
        probe.give_back(pool, connection, 0)
    assert (connection.uses, connection.closed, pool.open) == (3, 1, 0)


def test_connection_over_its_age_is_closed_when_it_is_given_back() -> None:
    pool = pool_of(max_age=10.0)
    connection = dialled(pool)
    probe.give_back(pool, connection, 10_000)
    assert (connection.closed, pool.open) == (1, 0)


def test_no_more_than_the_bound_are_kept_idle_and_the_oldest_goes() -> None:
    pool = pool_of(idle=2)
    oldest, *rest = with_idle(pool, 3)
    assert probe.idle_connections(pool) == rest[::-1]
    assert (oldest.closed, pool.open) == (1, 2)
    none_kept = pool_of(idle=0)
    (connection,) = with_idle(none_kept, 1)
    assert (connection.closed, none_kept.open) == (1, 0)


def test_connection_given_back_twice_is_closed() -> None:
    pool = pool_of()
    (connection,) = with_idle(pool, 1)
    probe.give_back(pool, connection, 0)
    assert (connection.closed, pool.open, pool.idle, pool.crossed) == (1, 0, 0, 1)


def test_connection_given_back_to_another_pool_is_closed_and_its_own_pool_goes_on() -> None:
    own, other = pool_of(max=1), pool_of(PEERS[1])
    connection = dialled(own)
    waiter = ProbeWaiter()
    probe.wait(own, waiter, 0)
    probe.give_back(other, connection, 0)
    assert connection.closed == 1
    assert waiter.outcomes == ["dial"]
    assert (own.open, other.open, other.idle, other.crossed) == (1, 0, 0, 1)


# -- waiting -----------------------------------------------------------------------------------------------------------


def full_pool(waiting: int, **bounds: Any) -> tuple[Pool, ProbeConnection, list[ProbeWaiter]]:
    pool = pool_of(max=1, **bounds)
    connection = dialled(pool)
    queue = [ProbeWaiter() for _ in range(waiting)]
    for waiter in queue:
        assert probe.decide(pool, HERE, 0)[0] == "wait"
        probe.wait(pool, waiter, 0)
    return pool, connection, queue


def test_queue_is_bounded() -> None:
    pool, _, _ = full_pool(2, wait=2)
    assert probe.decide(pool, HERE, 0) == ("full", None)
    assert pool.refused == 1
    assert repr(pool) == "<Pool 10.0.0.5:9001 open 1/1, idle 0, waiting 2>"
    assert probe.decide(full_pool(0, wait=0)[0], HERE, 0) == ("full", None)


def test_freed_connection_goes_to_who_waits_longest() -> None:
    pool, connection, (first, second) = full_pool(2)
    probe.give_back(pool, connection, 0)
    assert (first.outcomes, second.outcomes, pool.idle) == ([connection], [], 0)
    probe.give_back(pool, connection, 0)
    assert (second.outcomes, connection.uses) == ([connection], 3)


def test_newcomer_waits_behind_who_waits() -> None:
    pool, connection, (first,) = full_pool(1)
    second = ProbeWaiter()

    def ask_again(waiter: ProbeWaiter, outcome: ProbeConnection | str) -> None:
        probe.give_back(pool, connection, 0)
        assert pool.idle == 1
        assert probe.decide(pool, HERE, 0)[0] == "wait"

    first.ended = ask_again
    probe.wait(pool, second, 0)
    probe.give_back(pool, connection, 0)
    assert (first.outcomes, second.outcomes) == ([connection], [connection])


@pytest.mark.parametrize("end", ["closed by its owner", "unfit when given back", "dial failed"])
def test_next_waiter_dials_when_a_connection_is_lost(end: str) -> None:
    pool = pool_of(max=1)
    assert probe.decide(pool, HERE, 0)[0] == "dial"
    connection = ProbeConnection()
    if end != "dial failed":
        probe.adopt(pool, connection, 0)
    waiter = ProbeWaiter()
    probe.wait(pool, waiter, 0)
    if end == "closed by its owner":
        probe.forget(pool, connection, 0)
        probe.forget(pool, connection, 0)  # counted out once
    elif end == "unfit when given back":
        connection.is_fit = False
        probe.give_back(pool, connection, 0)
    else:
        probe.dial_failed(pool, 0)
    assert waiter.outcomes == ["dial"]
    assert (pool.open, pool.dialling, pool.waiting) == (1, 1, 0)


def test_wait_ends_at_its_deadline_and_not_before() -> None:
    pool, connection, (first,) = full_pool(1, wait_timeout=0.25)
    second = ProbeWaiter()
    probe.wait(pool, second, 100)
    probe.expire(pool, 249)
    assert first.outcomes == []
    probe.expire(pool, 250)
    assert (first.outcomes, second.outcomes, pool.waiting, pool.timed_out) == (["timeout"], [], 1, 1)
    probe.give_back(pool, connection, 260)
    assert (first.outcomes, second.outcomes) == (["timeout"], [connection])


def test_who_gives_up_keeps_its_neighbours_in_order() -> None:
    pool, connection, queue = full_pool(5)
    for place in (2, 0, 4):
        probe.leave(pool, queue[place])
        probe.leave(pool, queue[place])
    assert probe.waiters(pool) == [queue[1], queue[3]]
    probe.give_back(pool, connection, 0)
    assert [len(waiter.outcomes) for waiter in queue] == [0, 1, 0, 0, 0]


def test_nobody_waits_twice_at_once() -> None:
    pool, _, (waiter,) = full_pool(1)
    with pytest.raises(RuntimeError, match="already"):
        probe.wait(pool, waiter, 0)
    assert pool.waiting == 1


def test_thousands_whose_dials_fail_at_once_are_served_without_recursion() -> None:
    pool, connection, queue = full_pool(20_000, wait=20_000)

    def fail(waiter: ProbeWaiter, outcome: ProbeConnection | str) -> None:
        probe.dial_failed(pool, 0)

    for waiter in queue:
        waiter.ended = fail
    probe.forget(pool, connection, 0)
    assert all(waiter.outcomes == ["dial"] for waiter in queue)
    assert (pool.open, pool.waiting, pool.dials_failed) == (0, 0, 20_000)


def test_thousands_who_give_back_at_once_are_served_without_recursion() -> None:
    pool, connection, queue = full_pool(20_000, wait=20_000)

    def return_it(waiter: ProbeWaiter, outcome: ProbeConnection | str) -> None:
        assert isinstance(outcome, ProbeConnection)
        probe.give_back(pool, outcome, 0)

    for waiter in queue:
        waiter.ended = return_it
    probe.give_back(pool, connection, 0)
    assert all(waiter.outcomes == [connection] for waiter in queue)
    assert (pool.open, pool.idle, pool.waiting) == (1, 1, 0)


@pytest.mark.parametrize("gets", ["a connection", "a place"])
def test_waiter_that_raises_costs_the_pool_nothing(gets: str, caplog: pytest.LogCaptureFixture) -> None:
    pool, connection, (broken, healthy) = full_pool(2)

    def fail(waiter: ProbeWaiter, outcome: ProbeConnection | str) -> None:
        raise LookupError("a defect")

    broken.ended = fail
    with caplog.at_level(logging.ERROR):
        (probe.give_back if gets == "a connection" else probe.forget)(pool, connection, 0)
    assert healthy.outcomes == ["dial"]
    assert (pool.open, pool.dialling, pool.waiting) == (1, 1, 0)
    assert "a defect" in caplog.text


# -- time, bounds, retirement ------------------------------------------------------------------------------------------


def test_idle_connections_are_closed_at_their_timeout() -> None:
    pool = pool_of(idle_timeout=5.0)
    early = with_idle(pool, 2, 0)
    late = with_idle_more(pool, 1_000)
    probe.expire(pool, 4_999)
    assert pool.idle == 3
    probe.expire(pool, 5_000)
    assert [c.closed for c in early] == [1, 1]
    assert probe.idle_connections(pool) == [late]
    assert pool.open == 1


def with_idle_more(pool: Pool, now_ms: int) -> ProbeConnection:
    """One more than there are, so that the ones there stay as they are."""
    held = [probe.decide(pool, pool.peer, now_ms)[1] for _ in range(pool.idle)]
    connection = dialled(pool, now_ms)
    for other in held:
        assert other is not None
        probe.give_back(pool, other, 0)
    probe.give_back(pool, connection, now_ms)
    return connection


def test_shorter_wait_timeout_does_not_put_a_newcomer_before_who_waits() -> None:
    pools = Pools()
    pool = pools.get(HERE, Bounds(max=1, wait_timeout=10.0))
    dialled(pool)
    first, second = ProbeWaiter(), ProbeWaiter()
    probe.wait(pool, first, 0)
    pools.get(HERE, Bounds(max=1, wait_timeout=0.1))
    probe.wait(pool, second, 0)
    probe.expire(pool, 9_999)
    assert (first.outcomes, second.outcomes) == ([], [])
    probe.expire(pool, 10_000)
    assert (first.outcomes, second.outcomes) == (["timeout"], ["timeout"])


def test_raised_bound_lets_who_waits_dial() -> None:
    pools = Pools()
    pool = pools.get(HERE, Bounds(max=1))
    dialled(pool)
    waiter = ProbeWaiter()
    probe.wait(pool, waiter, 0)
    pools.get(HERE, Bounds(max=2))
    pools.expire(100)
    assert waiter.outcomes == ["dial"]


def test_off_means_no_bound() -> None:
    pool = pool_of(max_age=None, max_requests=None, idle_timeout=3600.0)
    (connection,) = with_idle(pool, 1)
    for _ in range(1000):
        assert probe.decide(pool, HERE, 3_599_999) == ("reuse", connection)
        probe.give_back(pool, connection, 0)
    assert connection.closed == 0


def test_connection_that_fails_to_close_is_counted_out_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    pool = pool_of(idle_timeout=1.0)
    (connection,) = with_idle(pool, 1)

    def fail(connection: ProbeConnection) -> None:
        raise OSError("a defect")

    connection.on_discard = fail
    with caplog.at_level(logging.ERROR):
        probe.expire(pool, 1_000)
    assert (pool.open, pool.idle) == (0, 0)
    assert "a defect" in caplog.text


def test_statistics_are_what_the_pool_says() -> None:
    pool, connection, _ = full_pool(1, idle=3, wait=7)
    probe.decide(pool, PEERS[1], 0)
    statistics = pool.statistics()
    assert statistics.peer == "10.0.0.5:9001"
    assert (statistics.open, statistics.max_open, statistics.idle, statistics.max_idle) == (1, 1, 0, 3)
    assert (statistics.waiting, statistics.max_waiting, statistics.dialled, statistics.crossed) == (1, 7, 1, 1)
    with pytest.raises(AttributeError):
        statistics.open = 0  # type: ignore[misc]
    probe.forget(pool, connection, 0)
