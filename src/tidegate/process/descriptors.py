"""How many descriptors each process may have open: as many as can be had, and whether a worker's bounds fit in them."""

import resource

from tidegate.config.schema import Gateway
from tidegate.observe.log_writer import Say

__all__ = ["compare", "needed", "raise_limit"]

_WANTED = 1 << 20
_OWN = 64  # of a worker: listeners, logs, shared memory, channels


def compare(gateway: Gateway, workers: int, limit: int, say: Say) -> None:
    """Says when the configuration allows a worker more than ``limit``."""
    clients, servers = needed(gateway, workers)
    total = clients + servers + _OWN
    if total > limit:
        say(
            "descriptors_short",
            f"a worker may have {limit} descriptors and would need {total} ({clients} clients, {servers} connections "
            f"to upstreams, {_OWN} of its own): when they are used up, accepting pauses and dials fail; raise "
            f"the limit (LimitNOFILE={total} in the systemd unit, or ulimit -Hn), or lower server.max_connections or "
            "the pools' max",
            "warning",
        )


def needed(gateway: Gateway, workers: int) -> tuple[int, int]:
    """Most client connections of one worker, and most to upstreams, a name counted as one address."""
    clients = -(-gateway.server.max_connections // workers)
    servers = sum(upstream.pool.max * len(upstream.endpoints) for upstream in gateway.upstreams.values())
    return clients, servers


def raise_limit() -> int:
    """As many descriptors as may be had without asking: each client and each upstream connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return _WANTED if soft == resource.RLIM_INFINITY else soft
