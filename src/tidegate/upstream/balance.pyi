from tidegate.config.upstreams import Upstream as UpstreamSettings
from tidegate.upstream.endpoint import Upstream
from tidegate.upstream.pools import Pools

class Balanced(Upstream): ...
class RoundRobin(Balanced): ...
class LeastRequest(Balanced): ...
class P2C(Balanced): ...
class Random(Balanced): ...

class ConsistentHash(Balanced):
    load_factor: float
    def __init__(
        self,
        name: str,
        *,
        load_factor: float = 1.25,
        settings: UpstreamSettings | None = None,
        pools: Pools | None = None,
        seed: int = 0,
        host_header: bytes = b"",
        hash_source: int = 0,
        hash_name: bytes = b"",
        sticky_cookie: bytes = b"",
        connect_timeout_ms: int = 2000,
        read_timeout_ms: int = 30000,
    ) -> None: ...
