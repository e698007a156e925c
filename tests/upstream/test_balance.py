"""How endpoints are chosen: distributions against weights with fixed seeds, and what happens when some are out."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.upstreams import Pool as Bounds
from tidegate.upstream import probe
from tidegate.upstream.balance import P2C, Balanced, ConsistentHash, LeastRequest, Random, RoundRobin
from tidegate.upstream.endpoint import Endpoint
from tidegate.upstream.peer import Peer
from tidegate.upstream.pool import Pool

WAYS: list[type[Balanced]] = [RoundRobin, LeastRequest, P2C, Random, ConsistentHash]
MS = 1_000_000


def endpoints(*weights: float) -> list[Endpoint]:
    return [Endpoint(Pool(Peer(f"10.0.0.{i + 1}", 9001), Bounds()), weight) for i, weight in enumerate(weights)]


def group(way: type[Balanced], servers: list[Endpoint], seed: int = 1) -> Balanced:
    upstream = way("orders", seed=seed)
    upstream.replace_endpoints(servers)
    return upstream


def keys(count: int, seed: int = 1) -> list[int]:
    chance = random.Random(seed)
    return [probe.hash_key(chance.randbytes(8)) for _ in range(count)]


def counts(upstream: Balanced, rounds: int) -> list[int]:
    picked = Counter(probe.pick(upstream, key) for key in keys(rounds))
    return [picked[server] for server in upstream.endpoints]


def assert_shares(found: list[int], weights: list[float]) -> None:
    """Within five standard deviations of a fair draw."""
    rounds, total = sum(found), sum(weights)
    for count, weight in zip(found, weights, strict=True):
        share = weight / total
        assert abs(count - rounds * share) <= 5 * math.sqrt(rounds * share * (1 - share)) + 1, (found, weights)


# -- all of them -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_nobody_is_picked_from_an_empty_group(way: type[Balanced]) -> None:
    assert probe.pick(group(way, []), 1) is None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("weights", [[1.0], [1.0, 1.0], [1.0, 1.0, 1.0], [1.0] * 7], ids=len)
def test_equal_weights_share_equally(way: type[Balanced], weights: list[float]) -> None:
    assert_shares(counts(group(way, endpoints(*weights)), 20_000), weights)


@pytest.mark.parametrize("way", [RoundRobin, LeastRequest, Random, ConsistentHash])
@pytest.mark.parametrize("weights", [[1.0, 2.0], [5.0, 1.0, 1.0], [1.0, 2.0, 3.0, 10.0]], ids=str)
def test_idle_endpoints_share_by_weight(way: type[Balanced], weights: list[float]) -> None:
    assert_shares(counts(group(way, endpoints(*weights)), 20_000), weights)


@pytest.mark.parametrize("way", WAYS)
@given(data=st.data())
def test_who_is_out_or_just_failed_is_picked_only_when_nobody_else_is_there(
    way: type[Balanced], data: st.DataObject
) -> None:
    servers = endpoints(*data.draw(st.lists(st.sampled_from([1.0, 1.0, 3.0]), min_size=1, max_size=6)))
    upstream = group(way, servers, seed=data.draw(st.integers(0, 1 << 64 - 1)))
    for server in servers:
        for _ in range(data.draw(st.integers(0, 3))):
            probe.started(server)
        if data.draw(st.booleans()):
            server.take_out()
    avoid = data.draw(st.sampled_from([None, *servers]))
    available = [server for server in servers if server.is_available]
    allowed = [server for server in available if server is not avoid] or available
    allowed = allowed or [server for server in servers if server is not avoid] or servers
    for key in [0, *keys(5)]:
        assert probe.pick(upstream, key, avoid, 1) in allowed


@pytest.mark.parametrize("way", [P2C, Random])
def test_same_seed_gives_the_same_choices_and_another_does_not(way: type[Balanced]) -> None:
    runs = [
        [probe.pick(upstream).peer.label for _ in range(50)]  # type: ignore[union-attr]
        for upstream in (group(way, endpoints(1, 1, 1), seed) for seed in (1, 1, 2))
    ]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("way", WAYS)
def test_shares_hold_among_those_that_are_left(way: type[Balanced]) -> None:
    servers = endpoints(1, 1, 1, 1)
    servers[2].take_out()
    found = counts(group(way, servers), 12_000)
    assert found[2] == 0
    assert_shares([found[0], found[1], found[3]], [1, 1, 1])


# -- round robin -------------------------------------------------------------------------------------------------------


def test_turns_are_spread_evenly() -> None:
    servers = endpoints(5, 1, 1)
    upstream = group(RoundRobin, servers)
    turns = [servers.index(probe.pick(upstream)) for _ in range(70)]  # type: ignore[arg-type]
    for start in range(63):
        assert Counter(turns[start : start + 7]) == {0: 5, 1: 1, 2: 1}, "every window of a turn has everybody's share"
    assert max(len(run) for run in "".join(map(str, turns)).replace("1", " ").replace("2", " ").split()) <= 5


def test_workers_that_start_together_begin_at_different_endpoints() -> None:
    first = Counter(
        probe.pick(group(RoundRobin, endpoints(1, 1, 1), seed)).peer.label  # type: ignore[union-attr]
        for seed in range(300)
    )
    assert min(first[f"10.0.0.{i}:9001"] for i in (1, 2, 3)) > 60


# -- least request -----------------------------------------------------------------------------------------------------


def test_fewest_in_flight_for_its_weight_is_chosen() -> None:
    servers = endpoints(1, 2, 4)
    upstream = group(LeastRequest, servers)
    for server, inflight in zip(servers, (2, 3, 7), strict=True):
        for _ in range(inflight):
            probe.started(server)
    assert probe.pick(upstream) is servers[1]  # 2/1, 3/2, 7/4
    probe.started(servers[1])
    assert probe.pick(upstream) is servers[2]


def test_requests_in_flight_settle_by_weight() -> None:
    servers = endpoints(1, 2, 3)
    upstream = group(LeastRequest, servers)
    for _ in range(600):
        server = probe.pick(upstream)
        assert server is not None
        probe.started(server)
    assert [server.inflight for server in servers] == [100, 200, 300]


# -- P2C by peak EWMA --------------------------------------------------------------------------------------------------


def simulate(upstream: Balanced, latency_ms: dict[Endpoint, float], *, rounds: int, concurrency: int) -> Counter[str]:
    """A closed loop: ``concurrency`` callers, each asks again when it has its answer."""
    chance = random.Random(7)
    now_ns = 1
    running: list[tuple[int, int, Endpoint]] = []
    picked: Counter[str] = Counter()
    for _ in range(rounds):
        while len(running) < concurrency:
            server = probe.pick(upstream, 0, None, now_ns)
            assert server is not None
            probe.started(server)
            picked[server.peer.label] += 1
            took_ns = int(latency_ms[server] * MS * chance.uniform(0.9, 1.1))
            running.append((now_ns + took_ns, took_ns, server))
        running.sort(key=lambda entry: entry[0])
        now_ns, took_ns, server = running.pop(0)
        probe.ended(server, took_ns, now_ns)
    return picked


def test_slow_endpoint_gets_little() -> None:
    servers = endpoints(1, 1, 1)
    upstream = group(P2C, servers)
    latency = {servers[0]: 5.0, servers[1]: 5.0, servers[2]: 100.0}
    picked = simulate(upstream, latency, rounds=20_000, concurrency=16)
    assert picked[servers[2].peer.label] < 0.05 * sum(picked.values())
    assert picked[servers[2].peer.label] > 0, "but it is tried now and then"
    assert abs(picked[servers[0].peer.label] - picked[servers[1].peer.label]) < 0.1 * sum(picked.values())


def test_endpoint_that_has_recovered_gets_its_share_back() -> None:
    servers = endpoints(1, 1)
    upstream = group(P2C, servers)
    for server, latency_ns in zip(servers, (5 * MS, 200 * MS), strict=True):
        probe.started(server)
        probe.ended(server, latency_ns, 1)
    assert {probe.pick(upstream, 0, None, 2) for _ in range(50)} == {servers[0]}
    now_ns = 60_000 * MS
    probe.started(servers[0])
    probe.ended(servers[0], 5 * MS, now_ns)
    assert {probe.pick(upstream, 0, None, now_ns) for _ in range(50)} == {servers[1]}, "silence has made it cheap"


def test_endpoint_that_refuses_at_once_is_not_the_fastest() -> None:
    servers = endpoints(1, 1)
    upstream = group(P2C, servers)
    probe.started(servers[0])
    probe.ended(servers[0], 20 * MS, 1)
    probe.started(servers[1])
    probe.ended(servers[1], 50_000, 1, True)
    probe.started(servers[1])
    probe.ended(servers[1], 50_000, 1, True)
    assert {probe.pick(upstream, 0, None, 2) for _ in range(50)} == {servers[0]}


def test_weight_lets_an_endpoint_carry_more() -> None:
    servers = endpoints(1, 3)
    upstream = group(P2C, servers)
    picked = simulate(upstream, dict.fromkeys(servers, 10.0), rounds=20_000, concurrency=40)
    share = picked[servers[1].peer.label] / sum(picked.values())
    assert 0.68 < share < 0.82


# -- consistent hash ---------------------------------------------------------------------------------------------------


def choices(upstream: Balanced, some_keys: list[int]) -> list[str]:
    return [probe.pick(upstream, key).peer.label for key in some_keys]  # type: ignore[union-attr]


def test_key_stays_with_its_endpoint_in_every_worker() -> None:
    some_keys = keys(1000)
    first = choices(group(ConsistentHash, endpoints(1, 1, 1, 1), seed=1), some_keys)
    second = choices(group(ConsistentHash, endpoints(1, 1, 1, 1)[::-1], seed=2), some_keys)
    assert first == second


@pytest.mark.parametrize("weights", [[1.0] * 10, [1.0, 2.0, 3.0, 4.0]], ids=["equal", "weighted"])
def test_only_the_keys_of_a_lost_endpoint_move_and_they_spread_by_weight(weights: list[float]) -> None:
    some_keys = keys(20_000)
    servers = endpoints(*weights)
    before = choices(group(ConsistentHash, servers), some_keys)
    lost = servers[1].peer.label
    after = choices(group(ConsistentHash, [s for s in servers if s is not servers[1]]), some_keys)
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert len(moved) == before.count(lost)
    assert_shares([before.count(lost), len(before) - before.count(lost)], [weights[1], sum(weights) - weights[1]])
    left = [(s.peer.label, w) for s, w in zip(servers, weights, strict=True) if s is not servers[1]]
    assert_shares([moved.count(label) for label, _ in left], [weight for _, weight in left])


def test_new_endpoint_takes_its_share_and_moves_nothing_else() -> None:
    some_keys = keys(20_000)
    servers = endpoints(1, 1, 1, 1, 1)
    before = choices(group(ConsistentHash, servers[:4]), some_keys)
    after = choices(group(ConsistentHash, servers), some_keys)
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {servers[4].peer.label}
    assert_shares([len(moved), len(before) - len(moved)], [1, 4])


@pytest.mark.parametrize("weights", [[1.0] * 5, [1.0, 2.0, 5.0]], ids=["equal", "weighted"])
@pytest.mark.parametrize("factor", [1.05, 1.25, 3.0])
def test_load_stays_below_its_bound_even_for_one_hot_key(weights: list[float], factor: float) -> None:
    servers = endpoints(*weights)
    upstream = ConsistentHash("orders", load_factor=factor)
    upstream.replace_endpoints(servers)
    chance = random.Random(3)
    hot, *cold = keys(500)
    running: list[Endpoint] = []
    for _ in range(4000):
        if running and chance.random() < 0.4:
            probe.ended(running.pop(chance.randrange(len(running))), 1, 1)
            continue
        server = probe.pick(upstream, hot if chance.random() < 0.7 else chance.choice(cold))
        assert server is not None
        bound = math.ceil(factor * (len(running) + 1) * server.weight / sum(weights))
        assert server.inflight + 1 <= bound
        probe.started(server)
        running.append(server)


def test_overloaded_endpoint_passes_a_key_on_to_the_same_next_one_and_gets_it_back() -> None:
    servers = endpoints(1, 1, 1)
    upstream = group(ConsistentHash, servers)
    (key,) = keys(1)
    home = probe.pick(upstream, key)
    assert home is not None
    for _ in range(10):
        probe.started(home)
    (second,) = {probe.pick(upstream, key) for _ in range(20)}
    assert second is not home
    others = [server for server in endpoints(1, 1, 1) if server.peer != home.peer]
    assert second.peer.label == choices(group(ConsistentHash, others), [key])[0], "where it would go without the first"
    for _ in range(10):
        probe.ended(home, 1, 1)
    assert probe.pick(upstream, key) is home


def test_request_without_a_key_goes_anywhere() -> None:
    servers = endpoints(1, 1, 1)
    upstream = group(ConsistentHash, servers)
    picked = Counter(probe.pick(upstream, 0) for _ in range(9000))
    assert_shares([picked[server] for server in servers], [1, 1, 1])


def test_load_factor_has_to_leave_room() -> None:
    with pytest.raises(ValueError, match="more than 1"):
        ConsistentHash("orders", load_factor=1.0)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_key_hash_tells_keys_apart_and_is_never_zero(one: bytes, other: bytes) -> None:
    assert probe.hash_key(one) != 0
    assert (probe.hash_key(one) == probe.hash_key(other)) == (one == other)


def test_key_hash_is_the_same_for_ever() -> None:
    """A new version that hashed differently would send every client of a fleet to another endpoint."""
    pinned = {
        b"": 0x33CFF3CF5A48A23F,
        b"a": 0xC343CD6A5E06450E,
        b"10.0.0.1": 0xE6CB99905E206411,
        b"a longer key of 28 characters": 0x44B5EF654D2DBF29,
    }
    assert {key: probe.hash_key(key) for key in pinned} == pinned
