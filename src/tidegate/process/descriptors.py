"""How many descriptors each process may have open: as many as can be had, and whether a worker's bounds fit in them."""

import resource

from tidegate.config.bounds import OWN_DESCRIPTORS, clients_of_a_worker, descriptor_limit, servers_of_a_worker
from tidegate.config.schema import Gateway
from tidegate.observe.log_writer import Say

__all__ = ["compare", "raise_limit"]

_WANTED = 1 << 20


def compare(gateway: Gateway, workers: int, limit: int, say: Say) -> None:
    """Says when the configuration asks for more than a worker's ``limit``; "auto" asks for nothing."""
    if gateway.server.max_connections == "auto":
        return
    clients, servers = clients_of_a_worker(gateway, workers, limit), servers_of_a_worker(gateway)
    total = clients + servers + OWN_DESCRIPTORS
    if total > limit:
        say(
            "descriptors_short",
            f"a worker may have {limit} descriptors and would need {total} ({clients} clients, {servers} connections "
            f"to upstreams, {OWN_DESCRIPTORS} of its own): when they are used up, accepting pauses and dials fail; "
            f"raise the limit (LimitNOFILE={total} in the systemd unit, or ulimit -Hn), lower server.max_connections "
            "or the pools' max, or leave server.max_connections out",
            "warning",
        )


def raise_limit() -> int:
    """As many descriptors as may be had without asking: each client and each upstream connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return descriptor_limit()
