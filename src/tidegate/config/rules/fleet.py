"""Limits of a whole fleet: what they need, and what cannot be counted together."""

from collections.abc import Collection

from tidegate.config.findings import Path
from tidegate.config.limit_cost import parse_cost
from tidegate.config.limits import Limit
from tidegate.config.rules.subject import Subject

__all__ = ["check_fleet", "check_fleet_step"]


def check_fleet(subject: Subject, path: Path, limit: Limit) -> None:
    """A fleet's limit has a store, and asks nothing that is known at one gateway alone."""
    if not limit.is_fleet:
        for option in ("store", "mode", "on_store_failure", "latency_cap"):
            if subject.says((*path, option)):
                subject.find((*path, option), 'has no effect without scope = "fleet"')
        return
    if limit.store is None and not subject.says((*path, "store")):
        subject.find((*path, "scope"), 'of "fleet" needs `store`, the name of a `redis` that all its gateways share')
    if limit.kind == "concurrency":
        _check_permits(subject, path, limit)
    if limit.excess == "delay":
        subject.find((*path, "excess"), 'cannot be "delay" of a fleet: turns are given out by one gateway alone')
    if limit.charge == "on_failure" and limit.mode == "exact":
        subject.find((*path, "charge"), 'cannot be "on_failure" with mode = "exact", which charges what it asks for')
    if parse_cost(limit.cost).is_measured:
        subject.find((*path, "cost"), f'"{limit.cost}" is known late, when what was borrowed is gone: use a number')
    if limit.is_asked_at_endpoints:
        subject.find((*path, "key"), "cannot be of endpoints: each gateway has its own")


def _check_permits(subject: Subject, path: Path, limit: Limit) -> None:
    """What a gateway may have under way is what it has borrowed, whoever it is for."""
    if limit.adaptive is not None:
        subject.find(
            (*path, "scope"),
            'cannot be "fleet" of what each gateway learns from its own requests: say a number, `concurrency`',
        )
    if limit.mode == "exact" and limit.dry_run:
        subject.find(
            (*path, "dry_run"), 'cannot be with mode = "exact" of what is under way: on paper nobody waits for a permit'
        )
    if limit.shares:
        subject.find((*path, "shares"), "cannot be of a fleet: no gateway knows what classes have at the others")
    if limit.unit_delay is not None:
        subject.find((*path, "unit_delay"), "cannot be of a fleet: no gateway knows how many are before; use `queue`")
    if limit.tiers and not any(part.needs_auth for part in limit.key_parts):
        subject.find(
            (*path, "tiers"),
            "of a fleet need a `key` that says who asks, as auth.tenant: permits are borrowed for all who share it",
        )


def check_fleet_step(subject: Subject, place: Path, names: Collection[str]) -> None:
    """Limits that are asked as one are asked of one store, and where that is a cluster, of one slot.

    Args:
        subject: The configuration.
        place: Where the names are said.
        names: Of the limits of one step of a request.
    """
    limits = {name: subject.gateway.limits[name] for name in names if name in subject.gateway.limits}
    exact = {name: limit for name, limit in limits.items() if limit.is_fleet and limit.mode == "exact"}
    stores = sorted({limit.store or "" for limit in exact.values()})
    if len(stores) > 1:
        subject.find(
            place, f"asks {' and '.join(stores)} as one, by {' and '.join(sorted(exact))}: they need one `store`"
        )
    elif stores and stores[0] in subject.gateway.redis and subject.gateway.redis[stores[0]].cluster:
        firsts = {(limit.key or ("nothing",))[0] for limit in exact.values()}
        if len(firsts) > 1:
            listed = " and ".join(sorted(exact))
            told = " and ".join(sorted(firsts))
            subject.find(
                place,
                f"asks {listed} as one, which are in different slots of the cluster {stores[0]}: their keys begin with "
                f"{told}; let them begin with the same",
            )
