"""A gateway with filters of a test's own in front of an upstream that the test plays."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.plane.harness import Plane, Upstream, until

from tidegate import Filter, Request, Response, ResponseHead
from tidegate.testing.classes import target_of

T = TypeVar("T")
HOST = b"Host: gateway.test\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def filtered(
    *classes: type[Filter],
    route: str = "",
    config: str = "",
    listener: str = "",
    server: str = "",
    rests: bool = True,
    upstream: bool = True,
) -> Iterator[tuple[Plane, Upstream]]:
    """One route named "all" with ``classes`` as its filters "f0", "f1" …, to the upstream "a".

    route, config, listener, server: further lines of TOML. rests: look at the end that nothing of any exchange is left.
    upstream: False for a route that answers by itself.
    """
    names = [f"f{number}" for number in range(len(classes))]
    declared = "\n".join(
        f'[filters.{name}]\nclass = "{target_of(cls)}"' for name, cls in zip(names, classes, strict=True)
    )
    with Upstream() as server_end:
        text = f"""
{declared}
{config}

[upstreams.a]
endpoints = ["{server_end.address}"]

[[routes]]
name = "all"
{'upstream = "a"' if upstream else ""}
filters = {names}
{route}
"""
        server = f'filter_packages = ["tidegate.testing"]\n{server}'
        with Plane(text, listener=listener, server=server) as plane:
            yield plane, server_end
            if rests:
                until(plane.is_at_rest, f"at rest: {plane.statistics()}")


def get(target: str = "/", headers: str = "", method: str = "GET", version: str = "1.1") -> bytes:
    """A request without a body."""
    return f"{method} {target} HTTP/{version}\r\nHost: gateway.test\r\n{headers}\r\n".encode("latin-1")


def look(see: Callable[[Request], T], request: bytes = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", **settings: str) -> T:
    """What ``see`` says of a request that it is shown in ``on_request``; what it raises is raised here."""
    seen: list[T | Exception] = []

    class Look(Filter):
        def on_request(self, request: Request) -> Response:
            try:
                seen.append(see(request))
            except Exception as error:  # noqa: BLE001 - handed to the test
                seen.append(error)
            return Response(204)

    with filtered(Look, **settings) as (plane, _), plane.connect() as client:
        client.send(request)
        answer = client.answer(to="HEAD")
    assert seen, f"the filter was not asked: {answer}"
    if isinstance(seen[0], Exception):
        raise seen[0]
    return seen[0]


def sent(
    change: Callable[[Request], None], request: bytes = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", **settings: str
) -> list[tuple[str, str]]:
    """The fields that the upstream gets after ``change`` was made in ``on_request``."""

    class Change(Filter):
        def on_request(self, request: Request) -> None:
            change(request)

    with filtered(Change, **settings) as (plane, upstream), plane.connect() as client:
        client.send(request)
        with upstream.accept() as server:
            _, fields, _ = server.request()
            server.send(OK)
            assert client.answer().body == b"ok"
        client.close()
    return fields


def received(change: Callable[[ResponseHead], None], answer: bytes = OK, **settings: str) -> list[tuple[str, str]]:
    """The fields that the client gets after ``change`` was made in ``on_response``."""

    class Change(Filter):
        def on_response(self, request: Request, response: ResponseHead) -> None:
            change(response)

    with filtered(Change, **settings) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(answer)
            fields = client.answer().headers
    return fields
