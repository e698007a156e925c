from tidegate.upstream.pool import PooledConnection, Waiter

class Asker(Waiter): ...

class DialSettings:
    connect_timeout_ms: int
    keepalive_s: int
    user_timeout_ms: int
    def __init__(
        self, connect_timeout: float, keepalive: float | None = None, user_timeout: float | None = None
    ) -> None: ...

class UpstreamConnection(PooledConnection): ...
