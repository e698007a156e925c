"""What an endpoint learns about its latency, and an upstream as the owner of its endpoints."""

import math

import pytest

from tidegate.config.upstreams import Pool as Bounds
from tidegate.upstream import probe
from tidegate.upstream.balance import P2C
from tidegate.upstream.endpoint import Endpoint, Upstream
from tidegate.upstream.peer import Peer
from tidegate.upstream.pool import Pool
from tidegate.upstream.pools import Pools

MS = 1_000_000
S = 1000 * MS


def endpoint(port: int = 9001, weight: float = 1.0) -> Endpoint:
    return Endpoint(Pool(Peer("10.0.0.5", port), Bounds()), weight)


def answered(server: Endpoint, latency_ns: int, now_ns: int, *, failed: bool = False) -> None:
    probe.started(server)
    probe.ended(server, latency_ns, now_ns, failed)


def ewma_ms(server: Endpoint) -> float:
    return server.statistics().ewma_ms


def test_slower_answer_is_believed_at_once_and_faster_ones_slowly() -> None:
    server = endpoint()
    answered(server, 10 * MS, 1 * S)
    assert ewma_ms(server) == 10
    answered(server, 80 * MS, 1 * S)
    assert ewma_ms(server) == 80
    answered(server, 10 * MS, 2 * S)
    weight = math.exp(-0.1)
    assert ewma_ms(server) == pytest.approx(80 * weight + 10 * (1 - weight))


@pytest.mark.parametrize("step_ns", [1 * MS, 1 * S], ids=["without exp", "with exp"])
def test_decay_depends_on_time_and_not_on_how_often_it_is_looked_at(step_ns: int) -> None:
    server = endpoint()
    answered(server, 100 * MS, 0 + 1)
    for now_ns in range(1 + step_ns, 10 * S + 2, step_ns):
        answered(server, 1, now_ns)
    assert ewma_ms(server) == pytest.approx(100 * math.exp(-1), rel=0.001)


def test_cost_falls_in_silence_and_rises_with_requests_in_flight() -> None:
    server = endpoint(weight=2.0)
    answered(server, 10 * MS, 1 * S)
    assert probe.cost_at(server, 1 * S) == pytest.approx(5 * MS)
    assert probe.cost_at(server, 11 * S) == pytest.approx(5 * MS * math.exp(-1))
    probe.started(server)
    probe.started(server)
    assert probe.cost_at(server, 1 * S) == pytest.approx(15 * MS)
    assert probe.cost_at(server, 0) == pytest.approx(15 * MS), "a clock that is a little behind changes nothing"


def test_endpoint_never_asked_gets_one_request_until_it_has_answered() -> None:
    server, known = endpoint(9001), endpoint(9002)
    answered(known, 5 * S, 1 * S)
    assert probe.cost_at(server, 1 * S) == 0 < probe.cost_at(known, 1 * S)
    probe.started(server)
    assert probe.cost_at(server, 1 * S) > probe.cost_at(known, 1 * S)


def test_quick_failure_makes_an_endpoint_dearer_and_not_cheaper() -> None:
    server = endpoint()
    answered(server, 20 * MS, 1 * S)
    answered(server, 50_000, 1 * S, failed=True)
    assert (ewma_ms(server), server.failures) == (80, 1)
    for _ in range(20):
        answered(server, 50_000, 1 * S, failed=True)
    assert ewma_ms(server) == 10_000, "bounded, so that it is tried again within a minute or two"
    fresh = endpoint()
    answered(fresh, 50_000, 1 * S, failed=True)
    assert ewma_ms(fresh) == 10


def test_exchange_that_measured_nothing_teaches_nothing() -> None:
    server = endpoint()
    answered(server, 20 * MS, 1 * S)
    answered(server, 0, 30 * S)
    assert ewma_ms(server) == 20
    assert (server.inflight, server.picks, server.failures) == (0, 2, 0)


def test_each_exchange_is_counted_in_and_out() -> None:
    server = endpoint()
    probe.started(server)
    probe.started(server)
    assert (server.inflight, server.picks) == (2, 2)
    for _ in range(3):
        probe.ended(server, 1, 1)
    assert (server.inflight, server.picks) == (0, 2)
    assert repr(server) == "<Endpoint 10.0.0.5:9001 weight 1, inflight 0, ewma 0.000 ms>"


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan])
def test_weight_is_more_than_nothing(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        endpoint(weight=weight)


def test_unchanged_endpoints_survive_and_claims_of_lost_ones_are_given_up() -> None:
    pools = Pools()
    upstream = P2C("orders", pools=pools)
    first, second, third = (Endpoint(pools.get(Peer("10.0.0.5", port), Bounds())) for port in (1, 2, 3))
    upstream.replace_endpoints([first, second])
    answered(second, 7 * MS, 1)
    upstream.replace_endpoints([second, third])
    assert upstream.endpoints[0] is second and ewma_ms(second) == 7
    assert (first.pool.is_retired, second.pool.claims, third.pool.claims) == (True, 1, 1)
    assert (first.is_available, second.is_available) == (False, True)
    assert repr(upstream) == "<P2C orders endpoints 2/2, inflight 0>"
    assert [statistics.peer for statistics in upstream.statistics()] == ["10.0.0.5:2", "10.0.0.5:3"]


def test_closed_upstream_holds_no_claim_and_takes_none() -> None:
    pools = Pools()
    upstream = P2C("orders", pools=pools)
    mine = Endpoint(pools.get(Peer("10.0.0.5", 1), Bounds()))
    upstream.replace_endpoints([mine])
    upstream.close()
    upstream.close()
    assert mine.pool.is_retired
    late = Endpoint(pools.get(Peer("10.0.0.5", 2), Bounds()))
    upstream.replace_endpoints([late])
    assert late.pool.is_retired and len(pools) == 0
    assert probe.pick(upstream) is mine, "an exchange of the old snapshot still finds its endpoint"


def test_sticky_token_finds_its_endpoint_unless_it_is_out() -> None:
    upstream = P2C("orders")
    tokens = [b"aaaa", b"bbbb", b"bbbbb"]
    servers = [
        Endpoint(Pool(Peer("10.0.0.5", port), Bounds()), 1.0, (token, b"", b"")) for port, token in enumerate(tokens, 1)
    ]
    upstream.replace_endpoints(servers)
    assert [probe.by_token(upstream, token) for token in tokens] == servers
    for unknown in (b"", b"a", b"aaab", b"aaaaa", b"bbbbbb"):
        assert probe.by_token(upstream, unknown) is None
    servers[1].take_out()
    assert probe.by_token(upstream, b"bbbb") is None
    servers[1].put_back()
    assert probe.by_token(upstream, b"bbbb") is servers[1]


def test_upstream_without_stickiness_knows_no_token() -> None:
    upstream = P2C("orders")
    upstream.replace_endpoints([endpoint()])
    assert probe.by_token(upstream, b"") is None


def test_group_alone_does_not_know_how_to_choose() -> None:
    upstream = Upstream("orders")
    upstream.replace_endpoints([endpoint()])
    with pytest.raises(NotImplementedError, match="balance"):
        probe.pick(upstream)
