"""How many connections a worker may have: what the configuration says, and what its descriptors allow.

Every connection is a descriptor. ``max_connections = "auto"`` follows the limit of descriptors, as HAProxy's
``maxconn`` does; a number is taken at its word, and `process.descriptors` says when it does not fit.
"""

import resource

from tidegate.config.schema import Gateway

__all__ = ["OWN_DESCRIPTORS", "clients_of_a_worker", "descriptor_limit", "servers_of_a_worker"]

OWN_DESCRIPTORS = 64
"""Of a worker: listeners, logs, shared memory, channels."""

_CLIENTS_AUTO = 65_536  # in total, where the limit does not say less


def clients_of_a_worker(gateway: Gateway, workers: int, limit: int) -> int:
    """Most client connections of each of ``workers``, of which each may have ``limit`` descriptors.

    With "auto" as many as fit beside full pools, and not less than half: an exchange has one connection at each side,
    so that pools are not full before as many clients are there.
    """
    said = gateway.server.max_connections
    if said != "auto":
        return max(1, -(-said // workers))
    usable = max(2, limit - OWN_DESCRIPTORS)
    fitting = max(usable - servers_of_a_worker(gateway), usable // 2)
    return min(-(-_CLIENTS_AUTO // workers), fitting)


def servers_of_a_worker(gateway: Gateway) -> int:
    """Most connections of a worker to upstreams, a name counted as one address."""
    return sum(upstream.pool.max * len(upstream.endpoints) for upstream in gateway.upstreams.values())


def descriptor_limit() -> int:
    """How many descriptors this process may have: the supervisor raises its limit, and all others inherit it."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft
