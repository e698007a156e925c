"""Who gets the next request, seen from the servers' side."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from tests.plane.harness import Peer, Plane, Upstream, until
from tests.plane.serving import Fields, Serving, answering

pytestmark = pytest.mark.sanitize


@contextlib.contextmanager
def balanced(settings: str, *weights: int) -> Iterator[tuple[Plane, list[Serving]]]:
    """A gateway in front of servers that answer with their number."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Serving(answering(f"{i}".encode()))) for i in range(len(weights))]
        listed = ", ".join(
            f'{{ address = "{server.address}", weight = {weight} }}'
            for server, weight in zip(servers, weights, strict=True)
        )
        config = f'[upstreams.a]\nendpoints = [{listed}]\n{settings}\n[[routes]]\nname = "all"\nupstream = "a"\n'
        plane = stack.enter_context(Plane(config))
        yield plane, servers
        until(plane.is_at_rest, "at rest")


def ask(plane: Plane, path: str = "/", headers: str = "") -> int:
    answer = plane.get(path, headers)
    assert answer.status == 200
    return int(answer.body)


def test_round_robin_goes_round() -> None:
    with balanced('balance = "round_robin"', 1, 1, 1) as (plane, _):
        got = [ask(plane) for _ in range(30)]
        assert sorted(got[:3]) == [0, 1, 2]
        assert got == got[:3] * 10


def test_weights_are_shares() -> None:
    with balanced('balance = "round_robin"', 3, 1) as (plane, _):
        got = [ask(plane) for _ in range(40)]
        assert Counter(got) == {0: 30, 1: 10}
        # Spread, not in a row: no four of one server follow each other.
        assert "0000" not in "".join(map(str, got))


def test_least_request_avoids_who_is_busy() -> None:
    release = threading.Event()

    def slow(peer: Peer, line: str, fields: Fields, body: bytes) -> None:
        release.wait(10)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")

    with Serving(slow) as busy, Serving(answering(b"free")) as free:
        config = (
            f'[upstreams.a]\nendpoints = ["{busy.address}", "{free.address}"]\nbalance = "least_request"\n'
            '[[routes]]\nname = "all"\nupstream = "a"\n'
        )
        with Plane(config) as plane, contextlib.ExitStack() as stack:
            waiting = []
            # Until one of them is held up, then all others go to the free one.
            while not any(endpoint.inflight for endpoint in plane.statistics().upstreams["a"]):
                client = stack.enter_context(plane.connect())
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                waiting.append(client)
                until(lambda: plane.statistics().inflight == plane.statistics().exchanges, "picked")
                if plane.statistics().upstreams["a"][0].inflight == 0:
                    assert client.answer().body == b"free"
            assert {plane.get().body for _ in range(20)} == {b"free"}
            release.set()


def test_p2c_sends_little_to_who_is_slow() -> None:
    def slow(peer: Peer, line: str, fields: Fields, body: bytes) -> None:
        threading.Event().wait(0.05)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")

    with Serving(slow) as late, Serving(answering(b"fast")) as fast:
        config = (
            f'[upstreams.a]\nendpoints = ["{late.address}", "{fast.address}"]\nbalance = "p2c"\n'
            '[[routes]]\nname = "all"\nupstream = "a"\n'
        )
        with Plane(config) as plane:
            got = Counter(plane.get().body for _ in range(200))
            assert got[b"slow"] < 20


KEYS = {
    "header": ("header:X-Tenant", lambda i: ("/", f"X-Tenant: {i}\r\n")),
    "header in another case": ("header:x-tenant", lambda i: ("/", f"X-TENANT: {i}\r\n")),
    "cookie": ("cookie:session", lambda i: ("/", f"Cookie: other=1; session={i}\r\n")),
    "path": ("path", lambda i: (f"/things/{i}", "")),
    "query": ("query:id", lambda i: (f"/?x=1&id={i}", "")),
}


@pytest.mark.parametrize("key", KEYS)
def test_consistent_hash_keeps_a_key_with_its_server(key: str) -> None:
    source, request = KEYS[key]
    with balanced(f'balance = "consistent_hash"\nhash_key = "{source}"\nhash_balance = 100.0', 1, 1, 1) as (plane, _):
        homes = [ask(plane, *request(i)) for i in range(40)]
        assert len(set(homes)) == 3
        assert [ask(plane, *request(i)) for i in range(40)] == homes


def test_consistent_hash_by_client_address() -> None:
    with balanced('balance = "consistent_hash"\nhash_key = "client.ip"\nhash_balance = 100.0', 1, 1, 1) as (plane, _):
        assert len({ask(plane) for _ in range(20)}) == 1


def test_requests_without_the_key_are_spread() -> None:
    with balanced('balance = "consistent_hash"\nhash_key = "header:X-Tenant"', 1, 1, 1) as (plane, _):
        assert len({ask(plane) for _ in range(60)}) > 1


def test_canonical_path_is_the_key() -> None:
    with balanced('balance = "consistent_hash"\nhash_key = "path"\nhash_balance = 100.0', 1, 1, 1) as (plane, _):
        for i in range(10):
            home = ask(plane, f"/a/{i}")
            assert ask(plane, f"/x/../a/./{i}") == home


def test_sticky_cookie_is_set_once_and_honoured() -> None:
    with balanced('sticky = { cookie = "stay", ttl = "1h" }\nbalance = "round_robin"', 1, 1, 1) as (plane, _):
        for _ in range(6):
            first = plane.get()
            cookie = first.get("Set-Cookie") or ""
            assert cookie.startswith("stay=")
            assert "HttpOnly" in cookie
            assert "Max-Age=3600" in cookie
            header = f"Cookie: a=b; {cookie.split(';')[0]}; c=d\r\n"
            for _ in range(4):
                again = plane.get(headers=header)
                assert again.body == first.body
                assert again.get("Set-Cookie") is None


@pytest.mark.parametrize("value", ["", "nonsense", "x" * 500, '"', "a=b"])
def test_sticky_cookie_that_names_nobody_is_replaced(value: str) -> None:
    with balanced('sticky = { cookie = "stay" }', 1, 1) as (plane, _):
        answer = plane.get(headers=f"Cookie: stay={value}\r\n")
        assert answer.status == 200
        assert (answer.get("Set-Cookie") or "").startswith("stay=")


def test_no_sticky_cookie_on_an_answer_of_the_gateway() -> None:
    with Upstream() as upstream:
        config = (
            f'[upstreams.a]\nendpoints = ["{upstream.address}"]\nsticky = {{ cookie = "stay" }}\n'
            '[[routes]]\nname = "all"\nupstream = "a"\n'
        )
        with Plane(config) as plane, plane.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            upstream.accept().close()
            answer = client.answer()
            assert answer.status == 502
            assert answer.get("Set-Cookie") is None
