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
one may return a coroutine, when only some requests have to wait, or a ``Later`` where they wait for one future. The
others are plain methods. A plain method runs in the callback that brought the bytes: it must not block.

Request phases run in the order of the route's ``filters``, the others in reverse. One instance serves all exchanges of
a worker, and of the snapshots to come, as long as its class and options stay the same: a reload does not empty a cache.
"""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from tidegate.config import options
from tidegate.config.filters import FilterUse
from tidegate.errors import GatewayError, Kind

__all__ = ["PHASES", "Filter", "close_filters", "load_classes", "make_filters"]

logger = logging.getLogger(__name__)

PHASES = ("on_request", "on_request_body", "on_response", "on_response_body", "on_finish")
MAY_WAIT = ("on_request", "on_response")


class Filter:
    """Base of every filter; see the module for what a subclass may have.

    ``self.redis_links["main"]`` is the worker's link to the servers of ``[redis.main]``, from the first exchange on:
    ``await self.redis_links["main"].data.get(key)``. ``self.caches["prices"]`` is its cache of ``[cache.prices]``:
    ``await self.caches["prices"].get(key, load)``.
    """

    identifies: ClassVar[bool] = False
    """Whether it sets ``request.auth`` of every request that it lets through, or has said that nobody is fine: routes
    that have it may have limits by tenant, subject, key or tier."""

    redis_links: Any = MappingProxyType({})  # Mapping[str, Link]; the class is loaded by workers that have a link only
    caches: Any = MappingProxyType({})  # Mapping[str, Cache]; as above

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

    async def preload(self) -> None:
        """Called once in each worker that starts, before it is ready, with its links and caches: for filling these.

        It is given a minute; one that fails is said, and the worker serves all the same. A filter that comes with a
        reload is not asked.
        """

    def close(self) -> None:
        """Called once, when no snapshot has it any more and its last exchange has ended: for threads and files."""


def make_filters(
    uses: Mapping[str, FilterUse],
    known: Mapping[str, Filter] | None = None,
    redis: Mapping[str, Any] | None = None,
    caches: Mapping[str, Any] | None = None,
) -> dict[str, Filter]:
    """An instance of every configured filter, by name.

    Args:
        uses: The ``filters`` of a configuration.
        known: Those of the snapshot before. One of the same name, class and options, whose options name no file that
            has changed, is taken over as it is.
        redis: The links of the worker, by name.
        caches: Its caches, by name.

    Raises GatewayError naming the filter whose class cannot be had or whose options do not fit; what had been made for
    the others is closed.
    """
    made: dict[str, Filter] = {}
    new: list[Filter] = []
    for name, use in uses.items():
        source = _source_of(use)
        there = None if known is None else known.get(name)
        if there is not None and there.__dict__.get(_SOURCE) == source:
            made[name] = there
            continue
        try:
            module, _, attribute = use.target.partition(":")
            cls: Any = import_module(module)
            for part in attribute.split("."):
                cls = getattr(cls, part)
            instance: Filter = options.make(cls, use.options)
            instance.__dict__[_SOURCE] = source
            if redis is not None:
                instance.redis_links = redis
            if caches is not None:
                instance.caches = caches
            instance.prepare()
        except Exception as error:
            close_filters(new)
            raise GatewayError(
                Kind.PROXY_CONFIGURATION_ERROR, f"filter {name} ({use.target}): {type(error).__name__}: {error}"
            ) from error
        made[name] = instance
        new.append(instance)
    return made


def load_classes(uses: Mapping[str, FilterUse]) -> None:
    """Imports what `make_filters` will need, for a thread: some libraries take a tenth of a second.

    What cannot be imported is left to `make_filters`, which says so.
    """
    for use in uses.values():
        with contextlib.suppress(Exception):
            import_module(use.target.partition(":")[0])


def close_filters(filters: Iterable[Filter]) -> None:
    """Calls ``close`` of each; one that fails is logged."""
    for one in filters:
        try:
            one.close()
        except Exception:
            logger.exception(
                "filter %s failed when it was closed", type(one).__qualname__, extra={"kind": "filter_failed"}
            )


_SOURCE = "_made_from"  # in an instance's dict


def _source_of(use: FilterUse) -> tuple[Any, ...]:
    """What an instance was made from: class, options, and the state of the files that they name."""
    files = {}
    for text in _texts(use.options):
        path = text.removeprefix("file:")
        if path.startswith("/"):
            try:
                found = Path(path).stat()
            except (OSError, ValueError):
                continue
            files[path] = (found.st_mtime_ns, found.st_size, found.st_ino)
    return use.target, use.options, files


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
