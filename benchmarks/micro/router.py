"""Nanoseconds for one look-up, by the number of routes; ``prefix`` and ``host`` should not grow with it.

Each case asks for all its routes in a shuffled order, so that ten thousand routes also pay for the caches they do not
fit into; ``same`` asks for one of them again and again, which leaves the steps of the look-up alone.
"""

import random
from collections.abc import Callable, Iterator
from functools import cache

from tidegate.routing.router import Router
from tidegate.routing.spec import RouteSpec

COUNTS = (1, 10, 1_000, 10_000)
Ask = tuple[bytes, bytes]


def prefixes(n: int) -> tuple[list[RouteSpec], list[Ask]]:
    """Routes such as ``/api/v1/service-17/*`` at any host."""
    paths = [f"/api/v{i % 5}/service-{i}" for i in range(n)]
    asks = [(b"api.example.com", f"{path}/orders/42".encode()) for path in paths]
    return [RouteSpec(name=path, path=path + "/*") for path in paths], asks


def hosts(n: int) -> tuple[list[RouteSpec], list[Ask]]:
    """Routes for one host each."""
    names = [f"tenant-{i}.example.com" for i in range(n)]
    return [RouteSpec(name=name, hosts=(name,)) for name in names], [(name.encode(), b"/orders/42") for name in names]


def templates(n: int) -> tuple[list[RouteSpec], list[Ask]]:
    """Routes such as ``/service-17/{id}/items/{item}``, below one wildcard host."""
    routes = [
        RouteSpec(name=f"{i}", hosts=("*.example.com",), path=f"/service-{i}/{{id}}/items/{{item}}") for i in range(n)
    ]
    return routes, [(b"api.example.com:8080", b"/service-%d/4711/items/12" % i) for i in range(n)]


@cache
def prepared(kind: Callable[[int], tuple[list[RouteSpec], list[Ask]]], n: int) -> tuple[Router, list[Ask]]:
    """Built when the case first runs, which the runner does not count."""
    routes, asks = kind(n)
    random.Random(1).shuffle(asks)
    return Router(routes), asks


def look_ups(kind: Callable[[int], tuple[list[RouteSpec], list[Ask]]], n: int, *, same: bool) -> Callable[[int], int]:
    """A case: look-ups among ``n`` routes, a hundred of each at least, beside which handing them over is nothing."""

    def run(times: int) -> int:
        router, asks = prepared(kind, n)
        asks = asks[:1] if same else asks
        times = max(times, 100 * len(asks))
        found = router.repeat_look_ups(asks, times)
        assert found == times, f"{times - found} of {times} look-ups found nothing"
        return times

    return run


def cases() -> Iterator[tuple[str, Callable[[int], int]]]:
    """All kinds by all counts, then one route asked again and again."""
    for kind in (prefixes, hosts, templates):
        for n in COUNTS:
            yield f"{kind.__name__}, {n} routes", look_ups(kind, n, same=False)
    for n in (10, 10_000):
        yield f"prefixes, {n} routes, same", look_ups(prefixes, n, same=True)
    yield (
        "regexes, 1 route",
        look_ups(lambda _: ([RouteSpec(name="r", path="~^/x/(?P<n>[0-9]+)$")], [(b"", b"/x/1")]), 1, same=True),
    )


CASES = dict(cases())
