"""What a cache has done and what it has: counts only grow, the rest is of now."""

from typing import NamedTuple

__all__ = ["CacheStatistics", "MachineStatistics", "RemoteStatistics", "SourceStatistics", "TierStatistics"]


class TierStatistics(NamedTuple):
    """One tier; ``age_s``: how long the oldest value has been there that is next to make room."""

    hits: int = 0
    misses: int = 0
    entries: int = 0
    bytes: int = 0
    evictions: int = 0
    age_s: float = 0.0


class MachineStatistics(NamedTuple):
    """The tier of the machine: what this worker has asked, and what all of them have there.

    ``refused``: values that found no room, or could not be written in time; ``rebuilt``: times it was found damaged.
    """

    hits: int = 0
    misses: int = 0
    entries: int = 0
    bytes: int = 0
    evictions: int = 0
    stored: int = 0
    refused: int = 0
    rebuilt: int = 0


class RemoteStatistics(NamedTuple):
    """The tier in Redis.

    ``large``: values that were read in pieces; ``fenced``: not stored, because they were invalidated while they were
    fetched; ``errors``: it could not be asked or told; ``gaps``: messages of others that were missed.
    """

    hits: int = 0
    misses: int = 0
    large: int = 0
    stored: int = 0
    fenced: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    errors: int = 0
    gaps: int = 0


class SourceStatistics(NamedTuple):
    """A source that is watched, as this worker has listened to it.

    ``wholes``: times it was read whole; ``changes``: keys that it said have changed; ``losses``: times it was lost, or
    could not be had; ``failures``: changed values that could not be fetched at once; ``unreadable``: values of another
    codec; ``age_s``: how long ago all that had changed was known, by whichever worker listens.
    """

    wholes: int = 0
    changes: int = 0
    losses: int = 0
    failures: int = 0
    unreadable: int = 0
    age_s: float = 0.0


class CacheStatistics(NamedTuple):
    """A cache as one worker has it.

    ``collapsed``: callers who waited for a fetch that was under way. ``stale``: values given out after their end while
    they are fetched again; ``stale_if_error``: because that failed. ``refreshes``: fetches that nobody waits for.
    ``untold``: invalidations that Redis could not be told and waits for; ``told_late``: that it was told then;
    ``never_told``: that were not kept, or not until it was back.
    """

    name: str
    worker: TierStatistics
    collapsed: int
    waiting: int
    stale: int
    stale_if_error: int
    refreshes: int
    loads: int
    load_failures: int
    load_total_s: float
    invalidations: int
    machine: MachineStatistics | None
    redis: RemoteStatistics | None
    source: SourceStatistics | None = None
    untold: int = 0
    told_late: int = 0
    never_told: int = 0
