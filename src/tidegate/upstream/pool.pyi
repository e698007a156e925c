from dataclasses import dataclass

from tidegate.config.upstreams import Pool as Bounds
from tidegate.net.stream import Stream
from tidegate.upstream.peer import Peer

class PooledConnection(Stream):
    peer: Peer
    serial: int
    uses: int

class Waiter: ...

@dataclass(frozen=True)
class PoolStatistics:
    peer: str
    open: int
    dialling: int
    idle: int
    waiting: int
    max_open: int
    max_idle: int
    max_waiting: int
    is_retired: bool
    dialled: int
    dials_failed: int
    reused: int
    refused: int
    timed_out: int
    discarded: int
    crossed: int

class Pool:
    peer: Peer
    claims: int
    is_retired: bool
    max_open: int
    max_idle: int
    max_waiting: int
    wait_timeout_ms: int
    idle_timeout_ms: int
    max_age_ms: int
    max_uses: int
    open: int
    dialling: int
    idle: int
    waiting: int
    dialled: int
    dials_failed: int
    reused: int
    refused: int
    timed_out: int
    discarded: int
    crossed: int
    def __init__(self, peer: Peer, bounds: Bounds) -> None: ...
    def statistics(self) -> PoolStatistics: ...
