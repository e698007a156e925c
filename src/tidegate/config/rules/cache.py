"""Caches: options that contradict each other or have no effect, and more memory than there is."""

import os
from typing import Final

from tidegate.config.cache import Cache
from tidegate.config.findings import Path
from tidegate.config.rules.subject import Subject
from tidegate.config.values import format_duration, format_size

__all__ = ["check_cache"]

_SHARE: Final = 0.5
"""Part of the machine's memory that caches may take before it is said."""


def check_cache(subject: Subject) -> None:
    """What is said of a cache has an effect, and fits into the machine."""
    for name, cache in subject.gateway.cache.items():
        path: Path = ("cache", name)
        if cache.stale_if_error and cache.stale_if_error <= cache.stale_while_revalidate:
            subject.warn(
                (*path, "stale_if_error"),
                f"has no effect: `stale_while_revalidate` gives values out for "
                f"{format_duration(cache.stale_while_revalidate)} anyway",
            )
        _check_redis(subject, path, cache)
        if cache.watch is not None or cache.watch_file is not None:
            _check_watch(subject, path, cache)
        if cache.preload and cache.redis is None and cache.machine is None:
            subject.warn((*path, "preload"), "has no effect without `machine` or `redis`: there is nowhere to look")
    _check_room(subject)


def _check_redis(subject: Subject, path: Path, cache: Cache) -> None:
    if cache.redis is None:
        for option in ("prefix", "large_value", "redis_in_flight", "redis_bytes_per_s", "preload_tags"):
            if subject.says((*path, option)):
                subject.warn((*path, option), "has no effect without `redis`")
        if cache.single_flight == "fleet":
            subject.find((*path, "single_flight"), 'is "fleet", which needs `redis`: machines agree there')
    server = subject.gateway.redis.get(cache.redis or "")
    begin = (cache.prefix or "").partition("{")[2]
    if server is not None and server.cluster and begin.startswith("}"):
        subject.find(
            (*path, "prefix"), "has `{}`, so that a cluster would keep what belongs to one key in different slots"
        )
    if cache.load_timeout < cache.wait:
        subject.warn((*path, "wait"), "is longer than `load_timeout`: no fetch takes so long")


def _check_watch(subject: Subject, path: Path, cache: Cache) -> None:
    if cache.watch is not None and cache.redis is None:
        subject.find((*path, "watch"), "needs `redis`: the keys that it names are there")
    if cache.watch == "":
        subject.find((*path, "watch"), "is empty: name what the keys begin with")
    if cache.watch_file is not None and cache.codec != "json":
        subject.find((*path, "watch_file"), 'needs `codec = "json"`: what is in it are objects')
    if cache.watch_file is not None and cache.redis is not None:
        subject.find((*path, "watch_file"), "is a source, and `redis` another one or a tier: leave one away")
    others = (
        "prefix",
        "preload",
        "preload_tags",
        "large_value",
        "redis_in_flight",
        "redis_bytes_per_s",
        "single_flight",
    )
    for option in others:
        if subject.says((*path, option)):
            subject.warn(
                (*path, option), "has no effect with a source that is watched: the cache has all of what is there"
            )


def _check_room(subject: Subject) -> None:
    workers = subject.gateway.server.workers
    count = len(os.sched_getaffinity(0)) if workers == "auto" else workers
    caches = subject.gateway.cache.values()
    wanted = sum(count * cache.memory + (cache.machine or 0) for cache in caches)
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if wanted > _SHARE * there:
        subject.warn(
            ("cache",),
            f"the caches of {count} worker{'s' * (count != 1)} may take {format_size(wanted)} in all, "
            f"of {format_size(there)} that this machine has",
        )
