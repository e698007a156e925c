"""No reply ever reaches anybody but who asked for it (DESIGN section 1, crossed pool)."""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from tests.plane.harness import Peer, Plane, Upstream, until
from tests.plane.serving import Fields, Serving, answering, gateway, held, idle
from tests.plane.test_upstream_tls import Authority, TlsServing

pytestmark = pytest.mark.sanitize

CLIENTS = 8
EXCHANGES = 50 if os.environ.get("TIDEGATE_SANITIZE") == "1" else 350  # of each client


def two_upstreams(address: str, one: str, other: str) -> str:
    parts = [f'[upstreams.{name}]\nendpoints = ["{address}"]\n{extra}\n' for name, extra in (("a", one), ("b", other))]
    routes = [f'[[routes]]\nname = "{name}"\npath = "/{name}"\nupstream = "{name}"\n' for name in "ab"]
    return "\n".join(parts + routes)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def check_apart(plane: Plane, serving: Serving, rounds: int = 10) -> None:
    """Requests in turn to both upstreams of one address: two connections, each used by its own."""
    for _ in range(rounds):
        assert plane.get("/a").status == 200
        assert plane.get("/b").status == 200
    assert serving.accepted == 2
    pools = plane.statistics().pools
    assert [(pool.open, pool.idle, pool.dialled, pool.reused) for pool in pools] == [(1, 1, 1, rounds - 1)] * 2
    assert [pool.crossed for pool in pools] == [0, 0]
    connections: dict[str, set[int]] = {"a": set(), "b": set()}
    for record in plane.log_records(2 * rounds):
        connections[record["route"]].add(record["upstream_connection"])
    assert len(connections["a"]) == len(connections["b"]) == 1
    assert not connections["a"] & connections["b"]


def test_one_address_under_two_names(authority: Authority) -> None:
    context = authority.server("one.test", "two.test")
    one, two = (f'tls = {{ ca = "{authority.root}", name = "{name}.test" }}' for name in ("one", "two"))
    with TlsServing(answering(), context) as serving, Plane(two_upstreams(serving.address, one, two)) as plane:
        check_apart(plane, serving)
        assert serving.names == ["one.test", "two.test"]


def test_one_address_with_two_roots(authority: Authority) -> None:
    """Who was believed under one root has proved nothing under another."""
    other = authority.folder / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    context: ssl.SSLContext = authority.server("127.0.0.1")
    good, bad = f'tls = {{ ca = "{authority.root}" }}', f'tls = {{ ca = "{other}" }}'
    with TlsServing(answering(), context) as serving, Plane(two_upstreams(serving.address, good, bad)) as plane:
        for _ in range(5):
            assert plane.get("/a").status == 200
            assert plane.get("/b").status == 502
        until(lambda: idle(plane) == 1, "one is good")


def test_one_address_verified_and_not(authority: Authority) -> None:
    with TlsServing(answering(), authority.server("127.0.0.1")) as serving:
        config = two_upstreams(serving.address, "tls = { verify = false }", f'tls = {{ ca = "{authority.root}" }}')
        with Plane(config) as plane:
            check_apart(plane, serving)


def test_one_address_from_two_sources() -> None:
    sources = ('source_address = "127.0.0.2"', 'source_address = "127.0.0.3"')
    with Serving(answering()) as serving, Plane(two_upstreams(serving.address, *sources)) as plane:
        check_apart(plane, serving)


def test_alike_upstreams_share_what_is_open() -> None:
    with Serving(answering()) as serving, Plane(two_upstreams(serving.address, "", "")) as plane:
        for _ in range(10):
            assert plane.get("/a").status == plane.get("/b").status == 200
        assert serving.accepted == 1


# -- answers that nobody asked for -------------------------------------------------------------------------------------


STALE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"
ROUNDS = 100 if os.environ.get("TIDEGATE_SANITIZE") == "1" else 1000


def answer_one(client: Peer, server: Peer, token: bytes) -> None:
    """The server gets this request, and the client its answer."""
    assert server.request()[0].split()[1].encode() == token
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(token), token))
    assert client.answer().body == token


def check_silence(plane: Plane, accept: Callable[[], Peer], rounds: int) -> None:
    """A server that answers twice, the second time just before or just behind the client's next request."""
    with plane.connect() as client:
        for i in range(rounds):
            asked = [f"/{i}-{j}".encode() for j in range(2)]
            client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % asked[0])
            with accept() as server:
                answer_one(client, server, asked[0])
                until(lambda: idle(plane) == 1, "the connection rests")
                with held(plane):
                    # Events come in the order in which they happened: with the request first, the gateway hands out a
                    # connection whose event it has fetched and not looked at.
                    if i % 2:
                        server.send(STALE)
                    client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % asked[1])
                    if not i % 2:
                        server.send(STALE)
                with accept() as second:
                    answer_one(client, second, asked[1])
                    assert server.is_closed()
            until(lambda: idle(plane) == 0, "both are closed")
    until(plane.is_at_rest, "at rest")
    (pool,) = plane.statistics().pools
    assert (pool.dialled, pool.reused, pool.crossed) == (2 * rounds, 0, 0)


def test_answer_that_nobody_asked_for_is_nobodys() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        check_silence(plane, upstream.accept, ROUNDS)


def test_answer_that_nobody_asked_for_is_nobodys_through_tls(authority: Authority) -> None:
    context = authority.server("127.0.0.1")

    def accept() -> Peer:
        sock = upstream.accept().sock
        # Or an answer waits for the tickets before it to be acknowledged.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Peer(context.wrap_socket(sock, server_side=True))

    with Upstream() as upstream:
        config = gateway(upstream.address, upstream=f'tls = {{ ca = "{authority.root}" }}')
        with Plane(config) as plane:
            check_silence(plane, accept, ROUNDS // 4)  # two handshakes each


# -- random cancellations ----------------------------------------------------------------------------------------------


def reply(chance: random.Random, peer: Peer, line: str, fields: Fields, body: bytes) -> bool | None:
    """The token of the request, often enough to see a mixture, in pieces and framings of every kind."""
    token = line.split()[1].encode()
    assert not body or set(body.split(b"|")) <= {token, b""}, "another request's body"
    out = b"|".join([token] * chance.choice([1, 10, 5000]))
    kind = chance.random()
    if kind < 0.03:
        peer.reset()
        return True
    if kind < 0.06:
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(out) + 10, out))
        return True
    if kind < 0.5:
        whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(out), out)
    elif kind < 0.9:
        half = len(out) // 2
        pieces = [piece for piece in (out[:half], out[half:]) if piece]
        whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        whole += b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    else:
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + out)
        return True
    cut = chance.randrange(len(whole))
    peer.send(whole[:cut])
    if chance.random() < 0.3:
        time.sleep(chance.random() * 0.004)
    if chance.random() < 0.02:
        # A second answer, unasked. With the first: one that is sent later is the answer to the next request for anybody
        # who speaks HTTP/1.1, unless it comes while the connection rests.
        peer.send(whole[cut:] + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
        return True
    peer.send(whole[cut:])
    return None


class Asking:
    """One client that asks, and leaves when it likes."""

    def __init__(self, plane: Plane, number: int, seed: int) -> None:
        self.plane = plane
        self.number = number
        self.chance = random.Random(f"{seed}/{number}")
        self.answered = 0
        self.left = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        client: Peer | None = None
        for i in range(EXCHANGES):
            client = client or self.plane.connect()
            if not self.exchange(client, f"/{self.number}-{i}"):
                client = None
        if client is not None:
            client.close()

    def exchange(self, client: Peer, token: str) -> bool:
        """Whether the connection can be used again."""
        leaves = self.chance.random() < 0.4
        self.left += leaves
        try:
            client.send(self.request(token, cut=leaves and self.chance.random() < 0.3))
            if leaves:
                if self.chance.random() < 0.7:
                    time.sleep(self.chance.random() * 0.006)
                if self.chance.random() < 0.5:
                    client.sock.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        client.buffer += client.sock.recv(self.chance.choice([1, 100, 100_000]))
                client.reset() if self.chance.random() < 0.8 else client.close()
                self.look_at(token, client.buffer)
                return False
            answer = client.answer()
        except (EOFError, OSError):
            self.look_at(token, client.buffer)
            client.close()
            return False
        if answer.status == 200:
            self.answered += 1
            if set(answer.body.split(b"|")) != {token.encode()}:
                self.wrong.append(f"{token} got {answer.body[:80]!r}")
        elif answer.status not in (502, 503):
            self.wrong.append(f"{token} got {answer.status}")
        if answer.get("Connection") == "close":
            client.close()
            return False
        return True

    def request(self, token: str, *, cut: bool) -> bytes:
        method = self.chance.choice(["GET", "GET", "POST"])
        head = f"{method} {token} HTTP/1.1\r\nHost: a\r\n"
        if method == "GET":
            whole = f"{head}\r\n".encode()
        else:
            body = "|".join([token] * self.chance.choice([1, 3000])).encode()
            whole = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        return whole[: self.chance.randrange(1, len(whole))] if cut else whole

    def look_at(self, token: str, got: bytes) -> None:
        """What came of an answer that was left or cut belongs to this request as well."""
        for found in re.findall(rb"/\d+-\d+(?=\|)", got):
            if found != token.encode():
                self.wrong.append(f"{token} saw {found!r}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_random_cancellations_never_cross_replies(seed: int) -> None:
    chances = threading.local()

    def handle(peer: Peer, line: str, fields: Fields, body: bytes) -> bool | None:
        if not hasattr(chances, "chance"):
            chances.chance = random.Random(f"{seed}/{line}")
        return reply(chances.chance, peer, line, fields, body)

    config = 'pool = { max = 5, wait = 1000, wait_timeout = "10s" }'
    with Serving(handle) as serving:
        text = f'[upstreams.a]\nendpoints = ["{serving.address}"]\n{config}\n'
        with Plane(text + '[[routes]]\nname = "all"\nupstream = "a"\n') as plane:
            asking = [Asking(plane, number, seed) for number in range(CLIENTS)]
            threads = [threading.Thread(target=one.run) for one in asking]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not [wrong for one in asking for wrong in one.wrong]
            assert sum(one.answered for one in asking) > CLIENTS * EXCHANGES * 0.4
            assert sum(one.left for one in asking) > CLIENTS * EXCHANGES * 0.3
            until(plane.is_at_rest, "at rest")
            (pool,) = plane.statistics().pools
            assert (pool.crossed, pool.waiting, pool.dialling) == (0, 0, 0)
            assert pool.open <= 5
            assert plane.statistics().upstreams["a"][0].inflight == 0
            assert "gateway_fault" not in plane.error_log.kinds()
