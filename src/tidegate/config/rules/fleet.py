"""Limits of a whole fleet: what they need, and what cannot be counted together."""

from tidegate.config.findings import Path
from tidegate.config.limit_cost import parse_cost
from tidegate.config.limits import Limit
from tidegate.config.rules.subject import Subject

__all__ = ["check_fleet"]


def check_fleet(subject: Subject, path: Path, limit: Limit) -> None:
    """A fleet's limit has a store, and asks nothing that is known at one gateway alone."""
    if not limit.is_fleet:
        for option in ("store", "on_store_failure", "latency_cap"):
            if subject.says((*path, option)):
                subject.find((*path, option), 'has no effect without scope = "fleet"')
        return
    if limit.store is None and not subject.says((*path, "store")):
        subject.find((*path, "scope"), 'of "fleet" needs `store`, the name of a `redis` that all its gateways share')
    if limit.kind == "concurrency":
        subject.find((*path, "scope"), 'cannot be "fleet" of what is under way: a rate or a quota can')
    if limit.excess == "delay":
        subject.find((*path, "excess"), 'cannot be "delay" of a fleet: turns are given out by one gateway alone')
    if limit.charge == "on_failure":
        subject.find((*path, "charge"), 'cannot be "on_failure" of a fleet: what has failed is known at one gateway')
    if parse_cost(limit.cost).is_measured:
        subject.find((*path, "cost"), f'"{limit.cost}" is known late, when what was borrowed is gone: use a number')
    if limit.is_asked_at_endpoints:
        subject.find((*path, "key"), "cannot be of endpoints: each gateway has its own")
