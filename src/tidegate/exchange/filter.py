"""The extension point: a filter is a small class with options and a method for each phase it wants.

    class PlanHeader(tidegate.Filter):
        \"\"\"Tells the upstream which plan the tenant is on.\"\"\"

        header: str = option("X-Plan", "name of the field to set")

        def on_request(self, request: Request) -> Response | None:
            request.headers[self.header] = PLANS.get(request.store.get("tenant"), "free")

Phases, each optional:

- ``on_request(request)``: the route is known, nothing has been sent. A ``Response`` answers, None goes on.
- ``on_request_body(request, piece, is_last)``: each piece of the body on its way to the upstream; bytes replace it.
- ``on_response(request, response)``: the head of the answer, whoever made it. A ``Response`` replaces the answer, and
  the filters outside of this one see that.
- ``on_response_body(request, piece, is_last)``: each piece of the body on its way to the client.
- ``on_finish(request)``: the exchange is over, whatever its end; for counting and cleaning up.

``on_request`` and ``on_response`` may be ``async``: they run in a task of their own while the exchange waits. A plain
one may return a coroutine, when only some requests have to wait. The others are plain methods. A plain method runs in
the callback that brought the bytes: it must not block.

Request phases run in the order of the route's ``filters``, the others in reverse. One instance serves all exchanges of
a worker.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from tidegate.config import options
from tidegate.config.filters import FilterUse
from tidegate.errors import GatewayError, Kind

__all__ = ["PHASES", "Filter", "make_filters"]

PHASES = ("on_request", "on_request_body", "on_response", "on_response_body", "on_finish")
MAY_WAIT = ("on_request", "on_response")


class Filter:
    """Base of every filter; see the module for what a subclass may have."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        import inspect

        super().__init_subclass__(**keywords)
        for phase in PHASES:
            method = getattr(cls, phase, None)
            if method is None:
                continue
            if inspect.isasyncgenfunction(method) or inspect.isgeneratorfunction(method):
                raise TypeError(f"{cls.__name__}.{phase} is a generator; a phase returns, it does not yield")
            if inspect.iscoroutinefunction(method) and phase not in MAY_WAIT:
                raise TypeError(f"{cls.__name__}.{phase} cannot be async; only {' and '.join(MAY_WAIT)} may wait")

    def prepare(self) -> None:
        """Called once, when the options have their values, before the first exchange; raise to refuse the snapshot."""


def make_filters(uses: Mapping[str, FilterUse]) -> dict[str, Filter]:
    """An instance of every configured filter, by name.

    Raises GatewayError naming the filter whose class cannot be had or whose options do not fit.
    """
    made: dict[str, Filter] = {}
    for name, use in uses.items():
        try:
            module, _, attribute = use.target.partition(":")
            cls: Any = import_module(module)
            for part in attribute.split("."):
                cls = getattr(cls, part)
            instance: Filter = options.make(cls, use.options)
            instance.prepare()
        except Exception as error:
            raise GatewayError(
                Kind.PROXY_CONFIGURATION_ERROR, f"filter {name} ({use.target}): {type(error).__name__}: {error}"
            ) from error
        made[name] = instance
    return made
