from collections.abc import Iterable
from typing import NamedTuple

from tidegate.limits.limit import Limit

class Peek(NamedTuple):
    """What a limit would say now."""

    limit: str
    is_allowed: bool
    key: str
    cost: float
    remaining: int
    wait_s: float | None
    reset_s: float
    is_dry_run: bool

def most_room(peeks: Iterable[Peek]) -> Peek:
    """Of what a limit says at several endpoints, what it says where a request would go."""

def peek(
    limit: Limit,
    head: bytes,
    now_ns: int,
    wall_ms: int,
    *,
    client: str = "",
    path: str | None = None,
    route: str = "",
    upstream: str = "",
    endpoint: str = "",
    subject: str = "",
    tenant: str = "",
    tier: str | None = None,
    digest: bytes = b"",
    cost: float | None = None,
    key: str | None = None,
) -> Peek:
    """What ``limit`` would say to a request with this head; ``path``, if given, is its canonical path.

    ``key`` is the value of a key of one part, instead of what the request has; ValueError where the key has not one.
    """
