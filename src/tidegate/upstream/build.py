"""From the configuration of an upstream to the object that requests are sent through."""

import hashlib
from typing import Final

from tidegate.config.upstreams import Upstream as UpstreamSettings
from tidegate.upstream.balance import P2C, Balanced, ConsistentHash, LeastRequest, Random, RoundRobin
from tidegate.upstream.discover import Discovery, Resolve, Target, peer_at, resolve_name, targets_of
from tidegate.upstream.endpoint import HASH_SOURCES, Endpoint, Upstream
from tidegate.upstream.peer import Peer
from tidegate.upstream.pools import Pools
from tidegate.upstream.sticky import cookie_line, endpoint_token
from tidegate.upstream.tls import TlsSettings, prepare_context

__all__ = ["build_upstream"]

_WAYS: Final[dict[str, type[Balanced]]] = {
    "round_robin": RoundRobin,
    "least_request": LeastRequest,
    "p2c": P2C,
    "random": Random,
    "consistent_hash": ConsistentHash,
}


def build_upstream(
    name: str,
    settings: UpstreamSettings,
    pools: Pools,
    *,
    seed: int = 0,
    secret: bytes = b"",
    resolve: Resolve = resolve_name,
    before: Upstream | None = None,
    is_active: bool = True,
) -> Upstream:
    """An upstream with its fixed endpoints; those behind names come with ``await discover.prepare([upstream])``.

    ``Upstream.close`` gives everything back that was claimed for it.

    Args:
        name: Its name in the configuration.
        settings: Its part of the configuration.
        pools: The worker's pools, in which the pool of every endpoint is claimed.
        seed: Differs by worker, so that workers do not choose in step.
        secret: What tokens of sticky cookies are made under, the same in all workers; needed only for those.
        resolve: From a name to its addresses.
        before: The upstream of that name in the snapshot before: what is known of its endpoints and of the addresses
            behind names stays known.
        is_active: False while its snapshot waits for its turn: pools that are there keep their bounds until
            ``Upstream.activate``.

    Raises:
        OSError: A file of the TLS settings cannot be read, or (ssl.SSLError) is not what it should be.
        ValueError: An address that cannot be dialled, an encrypted key, or a secret that is too short.
    """
    targets = targets_of(settings)
    # Everything that can fail comes before the first claim.
    for target in targets:
        if not target.is_name:
            peer_at(target, None, settings)
    if settings.tls is not None:
        prepare_context(TlsSettings.of(settings.tls, ""))
    if settings.sticky is not None:
        endpoint_token(secret, name, Peer("unix:/"))
    number = (seed ^ int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")) % 2**64
    upstream = _group(name, settings, pools, number, targets, is_active=is_active)
    if before is not None:
        upstream.follow(before)
    known = {} if before is None else {endpoint.peer: endpoint for endpoint in before.endpoints}

    def make_endpoint(peer: Peer, weight: float) -> Endpoint:
        pool = pools.get(peer, settings.pool, keeps_bounds=not upstream.is_active)
        sticky = _sticky_lines(name, settings, secret, peer)
        there = known.get(peer)
        if there is not None and (there.pool, there.weight, there.sticky) == (pool, weight, sticky):
            return there
        endpoint = Endpoint(pool, weight, sticky)
        if there is not None:
            endpoint.learn_from(there)
        return endpoint

    discovery = Discovery(
        upstream,
        settings,
        make_endpoint,
        resolve=resolve,
        seed=number,
        before=None if before is None else before.discovery,
    )
    known.clear()  # or each snapshot would keep the one before it
    if discovery.has_names:
        upstream.discovery = discovery
    return upstream


def _group(
    name: str, settings: UpstreamSettings, pools: Pools, seed: int, targets: tuple[Target, ...], *, is_active: bool
) -> Upstream:
    kind, _, hash_name = settings.hash_key.partition(":")
    is_hashed = settings.balance == "consistent_hash"
    if kind == "header":
        hash_name = hash_name.lower()
    way = _WAYS[settings.balance]
    upstream = way(
        name,
        settings=settings,
        pools=pools,
        seed=seed,
        host_header=_authority(targets[0], is_tls=settings.tls is not None),
        hash_source=HASH_SOURCES[kind] if is_hashed else 0,
        hash_name=hash_name.encode() if is_hashed else b"",
        sticky_cookie=b"" if settings.sticky is None else settings.sticky.cookie.encode("ascii"),
        connect_timeout_ms=max(1, round(settings.connect_timeout * 1000)),
        read_timeout_ms=max(1, round(settings.read_timeout * 1000)),
        is_active=is_active,
    )
    if isinstance(upstream, ConsistentHash):
        upstream.load_factor = settings.hash_balance
    return upstream


def _authority(target: Target, *, is_tls: bool) -> bytes:
    """The ``Host`` for servers that are to be addressed by their own name: that of the first endpoint."""
    if target.address.is_unix:
        return b"localhost"
    host = f"[{target.address.host}]" if ":" in target.address.host else target.address.host
    default_port = 443 if is_tls else 80
    return (host if target.address.port == default_port else f"{host}:{target.address.port}").encode("ascii")


def _sticky_lines(name: str, settings: UpstreamSettings, secret: bytes, peer: Peer) -> tuple[bytes, bytes, bytes]:
    if settings.sticky is None:
        return b"", b"", b""
    token = endpoint_token(secret, name, peer)
    cookie, ttl_s = settings.sticky.cookie, settings.sticky.ttl
    return (
        token,
        cookie_line(cookie, token, ttl_s=ttl_s, is_secure=False),
        cookie_line(cookie, token, ttl_s=ttl_s, is_secure=True),
    )
