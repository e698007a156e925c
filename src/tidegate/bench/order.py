"""What a process of a load is told, and what it says: lines of JSON on its standard output.

The order is in a memory file whose descriptor is its only argument. On its standard input it is told ``go NANOSECONDS``
(of CLOCK_MONOTONIC, the same moment for all) and ``stop``; the end of the input is a ``stop`` as well, so that nothing
goes on when whoever started it is gone.
"""

from __future__ import annotations

import msgspec

from tidegate.bench.measured import Measured, SecondCounts

__all__ = ["Ended", "Failed", "Order", "Ready", "Said", "SecondOver", "Server"]


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked: ``address`` is an IP literal or ``unix:/path``, ``name`` what a certificate has to say."""

    address: str
    port: int = 0
    is_tls: bool = False
    name: str = ""
    is_verified: bool = True
    ca: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The share of one process; ``stretches`` None: closed loop."""

    server: Server
    requests: list[bytes]
    stretches: list[tuple[float, float, float]] | None
    seconds: float
    warm_up_s: float
    clients: int
    patience_s: float
    is_poisson: bool = False
    is_fresh: bool = False
    websocket: tuple[bytes, bytes] | None = None
    part: int = 0
    parts: int = 1
    seed: int = 1


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Its clients are connected as far as they could be; ``trouble``: kind and words of what kept the first from it."""

    usable: int
    trouble: tuple[str, str] | None = None


class SecondOver(msgspec.Struct, frozen=True, tag=True):
    """A second is over."""

    counts: SecondCounts


class Ended(msgspec.Struct, frozen=True, tag=True):
    """All that came of it."""

    measured: Measured


class Failed(msgspec.Struct, frozen=True, tag=True):
    """It cannot go on."""

    reason: str


Said = Ready | SecondOver | Ended | Failed
