from dataclasses import dataclass

from tidegate.config.upstreams import Upstream as UpstreamSettings
from tidegate.errors import GatewayError
from tidegate.upstream.discover import Discovery
from tidegate.upstream.peer import Peer
from tidegate.upstream.pool import Pool
from tidegate.upstream.pools import Pools

HASH_SOURCES: dict[str, int]

@dataclass(frozen=True)
class EndpointStatistics:
    peer: str
    weight: float
    inflight: int
    picks: int
    failures: int
    ewma_ms: float
    is_out: bool

class Endpoint:
    peer: Peer
    pool: Pool
    weight: float
    inflight: int
    picks: int
    failures: int
    served: int
    lost: int
    def __init__(self, pool: Pool, weight: float = 1.0, sticky: tuple[bytes, bytes, bytes] = ...) -> None: ...
    @property
    def is_available(self) -> bool: ...
    @property
    def cookie_token(self) -> bytes: ...
    @property
    def sticky(self) -> tuple[bytes, bytes, bytes]: ...
    def learn_from(self, other: Endpoint) -> None: ...
    def take_out(self) -> None: ...
    def put_back(self) -> None: ...
    def statistics(self) -> EndpointStatistics: ...

class Upstream:
    name: str
    settings: UpstreamSettings | None
    host_header: bytes
    hash_source: int
    hash_name: bytes
    sticky_cookie: bytes
    connect_timeout_ms: int
    read_timeout_ms: int
    endpoints: list[Endpoint]
    discovery: Discovery | None
    absence: GatewayError | None
    is_active: bool
    is_closed: bool
    def __init__(
        self,
        name: str,
        *,
        settings: UpstreamSettings | None = None,
        pools: Pools | None = None,
        seed: int = 0,
        host_header: bytes = b"",
        hash_source: int = 0,
        hash_name: bytes = b"",
        sticky_cookie: bytes = b"",
        connect_timeout_ms: int = 2000,
        read_timeout_ms: int = 30000,
        is_active: bool = True,
    ) -> None: ...
    def replace_endpoints(self, endpoints: list[Endpoint]) -> None: ...
    def activate(self) -> None: ...
    def follow(self, before: Upstream) -> None: ...
    def close(self) -> None: ...
    def statistics(self) -> tuple[EndpointStatistics, ...]: ...
