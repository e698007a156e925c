"""Where limits are asked in the life of an exchange; what they say is in tests/plane/test_limits.py."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from tests.exchange.filtered import OK, filtered, get
from tests.plane.harness import Plane, Upstream

from tidegate import Filter, Request, Response

KEY = "sha256:" + hashlib.sha256(b"k").hexdigest()
AUTH = f'[auth.a]\nkind = "key"\nkeys = [{{ key = "{KEY}", subject = "ann" }}]\n'
seen: list[str] = []


class Remember(Filter):
    """Notes the requests it sees, and answers some."""

    def on_request(self, request: Request) -> Response | None:
        seen.append(request.path)
        return Response(418) if request.path == "/teapot" else None


@contextmanager
def contracted(options: str = "") -> Iterator[tuple[Plane, Upstream]]:
    seen.clear()
    limit = f'[limits.contract]\nrate = "1/d"\nkey = "auth.subject"\n{options}\n'
    with filtered(Remember, config=AUTH + limit, route='auth = "a"\nlimits = ["contract"]') as both:
        yield both


def send(plane: Plane, path: str, upstream: Upstream | None = None) -> int:
    with plane.connect() as client:
        client.send(get(path, headers="X-API-Key: k\r\n"))
        if upstream is not None:
            with upstream.accept() as server:
                server.request()
                server.send(OK)
                return client.answer().status
        return client.answer().status


def test_filters_do_not_see_who_is_refused_by_contract() -> None:
    with contracted() as (plane, upstream):
        assert send(plane, "/a", upstream) == 200
        assert send(plane, "/b") == 429
        assert seen == ["/a"]


def test_what_a_filter_answers_is_charged_to_no_contract() -> None:
    with contracted() as (plane, upstream):
        assert [send(plane, "/teapot") for _ in range(3)] == [418] * 3
        assert send(plane, "/a", upstream) == 200
        assert send(plane, "/teapot") == 429


def test_second_attempt_at_an_upstream_is_not_charged_again() -> None:
    with contracted("burst = 1") as (plane, upstream), plane.connect() as client:
        client.send(get("/a", headers="X-API-Key: k\r\n"))
        with upstream.accept() as first:
            first.request()
            first.send(OK)
            assert client.answer().status == 200
            # The kept connection is closed under the next request, which is sent once more.
            client.send(get("/b", headers="X-API-Key: k\r\n"))
            first.request()
        with upstream.accept() as second:
            second.request()
            second.send(OK)
        assert client.answer().status == 200
        assert plane.counters()["upstream_retries"] == 1
        client.send(get("/c", headers="X-API-Key: k\r\n"))
        assert client.answer().status == 429
