"""Options of upstreams that contradict each other or have no effect."""

from tidegate.config.findings import Path
from tidegate.config.rules.subject import Subject
from tidegate.config.schema import Upstream
from tidegate.config.values import parse_address

__all__ = ["check_upstreams"]


def check_upstreams(subject: Subject) -> None:
    """Pools have room for what they keep; endpoints are different; what is said has an effect."""
    for name, upstream in subject.gateway.upstreams.items():
        path: Path = ("upstreams", name)
        _check_pool(subject, (*path, "pool"), upstream)
        _check_endpoints(subject, path, upstream)
        if upstream.balance != "consistent_hash" and (*path, "balance") not in subject.shaped.lost:
            for option in ("hash_key", "hash_balance"):
                if subject.says((*path, option)):
                    subject.warn((*path, option), f'has no effect, because `balance` is "{upstream.balance}"')


def _check_pool(subject: Subject, path: Path, upstream: Upstream) -> None:
    pool = upstream.pool
    if pool.idle > pool.max and subject.says((*path, "idle")):
        subject.find(
            (*path, "idle"), f"{pool.idle} connections are to be kept, but no more than max = {pool.max} opened"
        )
    if pool.max_age is not None and pool.max_age < pool.idle_timeout and subject.says((*path, "idle_timeout")):
        subject.warn((*path, "idle_timeout"), "has no effect, because `max_age` is shorter")


def _check_endpoints(subject: Subject, path: Path, upstream: Upstream) -> None:
    seen: dict[str, int] = {}
    for index, endpoint in enumerate(upstream.endpoints):
        first = seen.setdefault(endpoint.address, index)
        if first != index:
            subject.find((*path, "endpoints", index), f"{endpoint.address} is there twice; give it a `weight` instead")
        address = parse_address(endpoint.address)
        tls = upstream.tls
        if address.is_unix and tls is not None and tls.verify and not subject.says((*path, "tls", "name")):
            subject.find((*path, "tls"), f"needs `name`: {endpoint.address} has no name for a certificate to prove")
        if address.is_unix and upstream.source_address is not None:
            subject.find((*path, "source_address"), f"{endpoint.address} has no source address")
        elif (
            upstream.source_address is not None
            and address.ip is not None
            and (":" in upstream.source_address) != (":" in address.host)
        ):
            subject.find((*path, "source_address"), f"is of another family than {endpoint.address}")
