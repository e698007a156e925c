from collections.abc import Sequence

from tidegate.config.schema import Route

class Rewrite:
    def __init__(
        self,
        *,
        strip_prefix: str | None = None,
        prefix: str | None = None,
        path: str | None = None,
        regex: str | None = None,
        replace: str = "",
        capture_names: Sequence[str] = (),
    ) -> None: ...
    def rewritten(self, path: bytes, spans: Sequence[tuple[int, int]] = ()) -> bytes: ...

class Redirect:
    def __init__(self, to: str, *, capture_names: Sequence[str] = ()) -> None: ...
    def location(
        self, scheme: bytes, host: bytes, path: bytes, query: bytes = b"", spans: Sequence[tuple[int, int]] = ()
    ) -> bytes: ...

def rewrite_of(route: Route) -> Rewrite: ...
def redirect_of(route: Route) -> Redirect: ...
