from collections.abc import Generator, Sequence
from typing import NamedTuple

from tidegate.routing.spec import RouteSpec, Shape

class LookUp(NamedTuple):
    name: str | None
    target: object
    captures: dict[str, bytes]
    allowed: tuple[str, ...]
    steps: int

class RouterStatistics(NamedTuple):
    places: int
    hosts: int
    nodes: int
    regexes: int
    depth: int
    longest_run: int

class Match:
    target: object
    name: str
    priority: int
    capture_names: tuple[str, ...]
    def __init__(self, spec: RouteSpec, shape: Shape) -> None: ...

class Router:
    def __init__(self, routes: Sequence[RouteSpec], seed: bytes | None = None) -> None: ...
    def building(self, routes: Sequence[RouteSpec], seed: bytes | None = None) -> Generator[None]: ...
    def look_up(
        self,
        method: bytes,
        host: bytes,
        path: bytes,
        query: bytes = b"",
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> LookUp: ...
    def repeat_look_ups(self, asks: Sequence[tuple[bytes, bytes]], n: int) -> int: ...
    def statistics(self) -> RouterStatistics: ...
