from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from tidegate.exchange.views import Request, ResponseHead
from tidegate.filters.key_auth import Identity
from tidegate.limits.limit import Limit

class StandIn: ...

def request(
    method: str = "GET",
    target: str = "/",
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    client_ip: str = "192.0.2.1",
    scheme: Literal["http", "https"] = "http",
    http_version: Literal["1.0", "1.1"] = "1.1",
    path: str = "/*",
    route: str = "test",
    upstreams: Sequence[str] = ("app",),
    store: Mapping[str, Any] | None = None,
    auth: Identity | None = None,
    limits: Mapping[str, Limit] | None = None,
) -> Request: ...
def charge(request: Request, name: str, times: int = 1) -> None:
    """Charges the limit ``name`` as so many requests like this one would. Those that it refuses change nothing."""

def repeat(request: Request, method: Callable[[Request], object], times: int) -> None: ...
def response(
    request: Request,
    status: int = 200,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    *,
    is_local: bool = False,
) -> ResponseHead: ...
