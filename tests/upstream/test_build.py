"""From configuration to upstream: each option arrives where it acts, and a failure claims nothing."""

from pathlib import Path
from typing import Any

import pytest

from tidegate.config.upstreams import Endpoint as EndpointSettings
from tidegate.config.upstreams import Pool as PoolSettings
from tidegate.config.upstreams import Sticky, UpstreamTLS
from tidegate.config.upstreams import Upstream as UpstreamSettings
from tidegate.upstream import balance, probe
from tidegate.upstream.build import build_upstream
from tidegate.upstream.endpoint import HASH_SOURCES, Upstream
from tidegate.upstream.pools import Pools
from tidegate.upstream.sticky import endpoint_token

SECRET = bytes(32)


def build(*addresses: str, pools: Pools | None = None, seed: int = 0, secret: bytes = SECRET, **rest: Any) -> Upstream:
    entries = tuple(EndpointSettings(address=address) for address in addresses or ("10.0.0.5:9001", "10.0.0.6:9001"))
    what = UpstreamSettings(endpoints=entries, **rest)
    return build_upstream("orders", what, Pools() if pools is None else pools, seed=seed, secret=secret)


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("round_robin", balance.RoundRobin),
        ("least_request", balance.LeastRequest),
        ("p2c", balance.P2C),
        ("random", balance.Random),
        ("consistent_hash", balance.ConsistentHash),
    ],
)
def test_way_of_choosing_is_the_one_configured(name: str, way: type[Upstream]) -> None:
    upstream = build(balance=name)
    assert type(upstream) is way
    assert probe.pick(upstream, 1) in upstream.endpoints


def test_every_way_in_the_schema_can_be_built() -> None:
    choices = UpstreamSettings.__annotations__["balance"].__origin__.__args__
    assert [build(balance=choice).name for choice in choices] == ["orders"] * len(choices)


@pytest.mark.parametrize(
    ("key", "source", "name"),
    [
        ("client.ip", "client.ip", b""),
        ("path", "path", b""),
        ("header:X-User", "header", b"x-user"),
        ("cookie:Session", "cookie", b"Session"),
        ("query:userId", "query", b"userId"),
    ],
)
def test_hash_key_says_what_to_look_at(key: str, source: str, name: bytes) -> None:
    upstream = build(balance="consistent_hash", hash_key=key, hash_balance=1.5)
    assert (upstream.hash_source, upstream.hash_name) == (HASH_SOURCES[source], name)
    assert isinstance(upstream, balance.ConsistentHash) and upstream.load_factor == 1.5
    other = build(balance="p2c", hash_key=key)
    assert (other.hash_source, other.hash_name) == (0, b""), "nobody looks for a key that nobody uses"


def test_timeouts_and_bounds_arrive() -> None:
    upstream = build(
        connect_timeout=0.25,
        read_timeout=12.0,
        pool=PoolSettings(max=7, idle=3, wait=9, wait_timeout=0.5, idle_timeout=11.0, max_age=60.0, max_requests=100),
    )
    assert (upstream.connect_timeout_ms, upstream.read_timeout_ms) == (250, 12_000)
    pool = upstream.endpoints[0].pool
    assert (pool.max_open, pool.max_idle, pool.max_waiting, pool.max_uses) == (7, 3, 9, 100)
    assert (pool.wait_timeout_ms, pool.idle_timeout_ms, pool.max_age_ms) == (500, 11_000, 60_000)


@pytest.mark.parametrize(
    ("address", "tls", "host"),
    [
        ("10.0.0.5:9001", None, b"10.0.0.5:9001"),
        ("10.0.0.5:80", None, b"10.0.0.5"),
        ("10.0.0.5:443", None, b"10.0.0.5:443"),
        ("10.0.0.5:443", UpstreamTLS(verify=False), b"10.0.0.5"),
        ("[fd00::5]:9001", None, b"[fd00::5]:9001"),
        ("orders.internal:9001", None, b"orders.internal:9001"),
        ("unix:/run/orders.sock", None, b"localhost"),
    ],
)
def test_host_header_is_the_first_endpoints_own_name(address: str, tls: UpstreamTLS | None, host: bytes) -> None:
    assert build(address, "10.0.0.99:1", tls=tls).host_header == host


def test_sticky_upstream_finds_its_endpoints_by_token() -> None:
    upstream = build(sticky=Sticky(cookie="node", ttl=60.0))
    assert upstream.sticky_cookie == b"node"
    for endpoint in upstream.endpoints:
        assert endpoint.cookie_token == endpoint_token(SECRET, "orders", endpoint.peer)
        assert probe.by_token(upstream, endpoint.cookie_token) is endpoint
    assert build().sticky_cookie == b""


def test_same_peer_in_two_upstreams_is_one_pool() -> None:
    pools = Pools()
    one, other = build("10.0.0.5:9001", pools=pools), build("10.0.0.5:9001", pools=pools, balance="random")
    assert one.endpoints[0].pool is other.endpoints[0].pool
    one.close()
    assert not other.endpoints[0].pool.is_retired
    other.close()
    assert other.endpoints[0].pool.is_retired


def test_workers_with_different_seeds_choose_differently() -> None:
    def picks(seed: int) -> list[str]:
        upstream = build(balance="random", seed=seed)
        return [endpoint.peer.label for _ in range(64) if (endpoint := probe.pick(upstream))]

    assert picks(1) == picks(1) != picks(2)


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        ({"tls": UpstreamTLS(ca="/no/such/file.pem")}, FileNotFoundError),
        ({"sticky": Sticky(cookie="node"), "secret": b"short"}, ValueError),
        ({"source_address": "::1"}, ValueError),
    ],
    ids=["missing file", "short secret", "unreachable from its source"],
)
def test_upstream_that_cannot_be_built_claims_nothing(rest: dict[str, Any], error: type[Exception]) -> None:
    pools = Pools()
    with pytest.raises(error):
        build("10.0.0.5:9001", pools=pools, **rest)
    assert len(pools) == 0


def test_certificate_files_are_read_when_it_is_built(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(OSError, match=r"(?i)certificate|pem|x509"):
        build(tls=UpstreamTLS(ca=str(tmp_path / "ca.pem")))
