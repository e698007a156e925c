from collections.abc import Callable, Generator
from typing import Any

from tidegate.config.routes import Route as RouteSettings
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
from tidegate.exchange.filter import Filter
from tidegate.filters.key_auth import KeyAuth
from tidegate.limits.group import Group
from tidegate.limits.limit import Limit
from tidegate.observe.access_log import AccessLog
from tidegate.upstream.endpoint import Upstream

class Step:
    filter_name: str
    call: Callable[..., Any]
    is_async: bool
    place: int
    def __init__(self, filter_name: str, call: Callable[..., Any], place: int = 0) -> None: ...

class Destination:
    upstream: Upstream
    limits: Group | None
    def __init__(self, upstream: Upstream, limits: dict[str, Limit] | None = None) -> None: ...

class Route:
    name: str
    destination: Destination | None
    auth: KeyAuth | None
    edge: Group | None
    contract: Group | None
    on_request: tuple[Step, ...] | None
    on_request_body: tuple[Step, ...] | None
    on_response: tuple[Step, ...] | None
    on_response_body: tuple[Step, ...] | None
    on_finish: tuple[Step, ...] | None
    def __init__(
        self,
        settings: RouteSettings,
        destinations: dict[str, Destination],
        filters: dict[str, Filter],
        order: int = 0,
        snapshot: int = 0,
    ) -> None: ...

class Plan:
    number: int
    etag: str
    gateway: Gateway
    routes: dict[str, Route]
    destinations: dict[str, Destination]
    filters: dict[str, Filter]
    limits: dict[str, Limit]
    exchanges: int
    def __init__(self, snapshot: Snapshot, upstreams: dict[str, Upstream], filters: dict[str, Filter]) -> None: ...
    def building(
        self,
        snapshot: Snapshot,
        upstreams: dict[str, Upstream],
        filters: dict[str, Filter],
        access_log: AccessLog | None = None,
        limits: dict[str, Limit] | None = None,
    ) -> Generator[None]: ...
