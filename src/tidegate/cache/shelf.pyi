from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any, TypeAlias

from tidegate.cache.freshness import Times
from tidegate.memory.generations import Generations

Key: TypeAlias = str | bytes

class Entry:
    key: Key
    value: Any
    size: int
    tags: tuple[str, ...]
    loaded_at: float
    came_at: float
    load_s: float
    early_from: float
    fresh_until: float
    stale_until: float
    error_until: float
    uses: int
    retry_at: float
    slots: tuple[int, ...]
    marks: tuple[int, ...]
    def __init__(
        self,
        key: Key,
        value: Any,
        size: int,
        times: Times,
        came_at: float,
        tags: tuple[str, ...],
        slots: tuple[int, ...],
        marks: tuple[int, ...],
        load_s: float = 0.0,
    ) -> None: ...
    def __await__(self) -> Generator[Any, None, Any]: ...

class Shelf:
    entries: dict[Key, Entry]
    hits: int
    generations: Generations
    def __init__(self, generations: Generations, clock: Callable[[], float] | None = None) -> None: ...
    def now(self) -> float: ...
    def is_current(self, entry: Entry) -> bool: ...
    def get(
        self,
        key: Key,
        load: Callable[[Any], Awaitable[Any]] | None = None,
        *,
        ttl: float | None = None,
        tags: Iterable[str] = (),
        timeout: float | None = None,
    ) -> Awaitable[Any]: ...
    def get_nowait(self, key: Key, default: Any = None) -> Any: ...
    def miss(
        self,
        key: Key,
        load: Callable[[Any], Awaitable[Any]] | None,
        ttl: float | None,
        tags: Iterable[str],
        timeout: float | None,
    ) -> Awaitable[Any]: ...
