"""``[cache.NAME]``: what is remembered of answers that cost something to get."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from tidegate.config.kinds import Doc, Duration, File, Off, Ref, Size
from tidegate.config.section import Section

__all__ = ["Cache"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache(Section):
    """A cache that filters ask by its name.

    It belongs to the worker and outlives reloads, also when its settings change.
    """

    memory: Annotated[int, Size(smallest=1024), Doc("Bytes that each worker keeps at hand.")] = 64 << 20
    machine: Annotated[
        int | None,
        Size(smallest=1 << 20),
        Off(),
        Doc(
            "Bytes that all workers share, in memory of the machine (a directory of the user in `/dev/shm`, or below "
            "`$TIDEGATE_RUNTIME_DIR`), and find again after a restart; another number is for workers that start."
        ),
    ] = None
    redis: Annotated[
        str | None, Ref("redis"), Doc("A name of `[redis]`, where others find what one worker has fetched.")
    ] = None
    prefix: Annotated[
        str | None,
        Doc("What its keys in Redis begin with; absent: `cache:NAME:`. Caches with one prefix have the same in them."),
    ] = None
    codec: Annotated[
        Literal["bytes", "json"],
        Doc('What values are in Redis: "bytes" as they are, or "json" of objects, which workers keep as objects.'),
    ] = "bytes"
    watch: Annotated[
        str | None,
        Doc(
            "What the keys of `redis` begin with that this cache has all of: read before a worker is ready, then heard "
            "of whenever they change. What comes behind it is the key in the cache. While nothing is heard, values go "
            "on for `ttl` and `stale_if_error`."
        ),
    ] = None
    watch_file: Annotated[
        str | None,
        File(),
        Doc(
            "A file with a JSON object that this cache has all of, looked at once a second: a member's name is a key. "
            "Put another in its place by a rename."
        ),
    ] = None
    preload: Annotated[
        tuple[str, ...],
        Doc("Keys that a worker looks for on the machine and in Redis before it is ready."),
    ] = ()
    preload_tags: Annotated[
        tuple[str, ...],
        Doc("Tags whose values a worker looks for in Redis before it is ready, up to 10,000 each, last to end first."),
    ] = ()
    single_flight: Annotated[
        Literal["worker", "machine", "fleet"],
        Doc("For whom a value is fetched once: each worker, all workers of a machine, or all machines of the Redis."),
    ] = "machine"
    large_value: Annotated[
        int,
        Size(smallest=4096, largest=1 << 29),
        Doc("Bytes from which on a value is a large one: read and written by one at a time, in pieces."),
    ] = 64 << 10
    redis_in_flight: Annotated[
        int, Size(smallest=4096, largest=64 << 20), Doc("Bytes of a large value that are on their way at once.")
    ] = 256 << 10
    redis_bytes_per_s: Annotated[
        int | None,
        Size(smallest=4096),
        Off(),
        Doc("How fast large values are read and written, by a machine; absent or `off`: as fast as the link is."),
    ] = None
    ttl: Annotated[float, Duration(), Doc("How long a value is fresh, where a caller does not say.")] = 60.0
    jitter: Annotated[
        float,
        Ge(0.0),
        Le(0.5),
        Doc("Part of `ttl` by which values end earlier, at random, so that what came together does not end together."),
    ] = 0.1
    early_refresh: Annotated[
        float,
        Ge(0.0),
        Le(10.0),
        Doc("How eagerly a value in use is fetched again before it ends; 0: never, more than 1: earlier."),
    ] = 1.0
    negative_ttl: Annotated[
        float, Duration(shortest=0.0), Doc("How long it is remembered that there is no value; `0s`: not at all.")
    ] = 1.0
    stale_while_revalidate: Annotated[
        float, Duration(shortest=0.0), Doc("How long after its end a value is still given out while it is fetched.")
    ] = 0.0
    stale_if_error: Annotated[
        float, Duration(shortest=0.0), Doc("How long after its end a value is given out when it cannot be fetched.")
    ] = 0.0
    wait: Annotated[float, Duration(), Doc("How long a caller waits for a value that is being fetched.")] = 5.0
    load_timeout: Annotated[float, Duration(), Doc("How long a fetch may take.")] = 30.0
