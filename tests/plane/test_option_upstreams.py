"""Every option of an upstream, seen from outside: with it one thing happens, without it another."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.plane.harness import Answer, Peer, Plane, Upstream, until
from tests.plane.serving import GET, OK, Serving, answering, gateway, proxy_error

pytestmark = pytest.mark.sanitize


def ask(plane: Plane, headers: str = "", path: str = "/") -> Answer:
    return plane.get(path, headers)


@contextlib.contextmanager
def one(settings: str = "") -> Iterator[tuple[Upstream, Peer]]:
    """An upstream with these settings, and a client of the gateway in front of it."""
    with (
        Upstream() as upstream,
        Plane(gateway(upstream.address, upstream=settings)) as plane,
        plane.connect() as client,
    ):
        yield upstream, client


def exchange(client: Peer, upstream: Upstream) -> Peer:
    """One exchange on a new connection of the upstream, which stays open."""
    client.send(GET)
    server = upstream.accept()
    server.request()
    server.send(OK)
    assert client.answer().body == b"ok"
    return server


def test_endpoints_and_their_address(tmp_path: Path) -> None:
    with (
        Serving(answering(b"tcp")) as tcp,
        Serving(answering(b"unix"), path=str(tmp_path / "s")) as unix,
        Plane(gateway(tcp.address, unix.address, upstream='balance = "round_robin"')) as plane,
    ):
        assert {ask(plane).body for _ in range(4)} == {b"tcp", b"unix"}


def test_endpoint_that_is_ipv6() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        port = listening.getsockname()[1]
        with Plane(gateway(f"[::1]:{port}")) as plane, plane.connect() as client:
            client.send(GET)
            with Peer(listening.accept()[0]) as server:
                server.request()
                server.send(OK)
                assert client.answer().body == b"ok"


def test_endpoint_weight() -> None:
    with Serving(answering(b"heavy")) as heavy, Serving(answering(b"light")) as light:
        config = (
            f'[upstreams.a]\nendpoints = [{{ address = "{heavy.address}", weight = 3 }}, "{light.address}"]\n'
            'balance = "round_robin"\n[[routes]]\nname = "all"\nupstream = "a"\n'
        )
        with Plane(config) as plane:
            assert Counter(ask(plane).body for _ in range(40)) == {b"heavy": 30, b"light": 10}


def test_random_goes_anywhere() -> None:
    with (
        Serving(answering(b"0")) as a,
        Serving(answering(b"1")) as b,
        Plane(gateway(a.address, b.address, upstream='balance = "random"')) as plane,
    ):
        got = b"".join(ask(plane).body for _ in range(60))
        assert 10 < got.count(b"0") < 50
        assert b"00" in got and b"11" in got  # not in turn


@pytest.mark.parametrize(
    ("key", "header", "path"),
    [
        ("header:x-user", "X-User: {}\r\n", "/"),
        ("cookie:user", "Cookie: a=b; user={}\r\n", "/"),
        ("query:user", "", "/?user={}"),
        ("path", "", "/{}"),
        ("client.ip", "X-Forwarded-For: 10.0.0.{}\r\n", "/"),
    ],
)
def test_hash_key_is_what_consistent_hash_looks_at(key: str, header: str, path: str) -> None:
    with Serving(answering(b"0")) as a, Serving(answering(b"1")) as b, Serving(answering(b"2")) as c:
        settings = f'balance = "consistent_hash"\nhash_key = "{key}"'
        config = gateway(a.address, b.address, c.address, upstream=settings)
        with Plane(config, server='trusted_proxies = ["127.0.0.1"]') as plane:
            found = [{ask(plane, header.format(i), path.format(i)).body for _ in range(3)} for i in range(30)]
            assert all(len(bodies) == 1 for bodies in found)
            assert len(set.union(*found)) == 3


def test_hash_balance_bounds_the_load_of_one_key() -> None:
    # All requests have one key. Of 2 endpoints with 8 in flight each may have four times the factor.
    for factor, least in (("1.05", 3), ("100.0", 0)):
        with Upstream() as a, Upstream() as b:
            settings = f'balance = "consistent_hash"\nhash_key = "path"\nhash_balance = {factor}'
            with Plane(gateway(a.address, b.address, upstream=settings)) as plane:
                clients = [plane.connect() for _ in range(8)]
                for client in clients:
                    client.send(GET)
                until(lambda: plane.statistics().inflight == 8, "all are under way")
                spread = sorted(endpoint.inflight for endpoint in plane.statistics().upstreams["a"])
                assert spread[0] >= least if least else spread == [0, 8]
                for client in clients:
                    client.reset()
                until(plane.is_at_rest, "at rest")


def test_sticky_cookie_and_its_ttl() -> None:
    for ttl, part in (('ttl = "1h"', "Max-Age=3600"), ("", None)):
        settings = f'sticky = {{ cookie = "gate"{", " + ttl if ttl else ""} }}\nbalance = "round_robin"'
        with (
            Serving(answering(b"0")) as a,
            Serving(answering(b"1")) as b,
            Plane(gateway(a.address, b.address, upstream=settings)) as plane,
        ):
            first = ask(plane)
            cookie = first.get("Set-Cookie") or ""
            assert cookie.startswith("gate=") and "HttpOnly" in cookie and "SameSite=Lax" in cookie
            assert (part in cookie) if part else ("Max-Age" not in cookie)
            again = [ask(plane, f"Cookie: {cookie.split(';')[0]}\r\n") for _ in range(6)]
            assert {answer.body for answer in again} == {first.body}
            assert {answer.get("Set-Cookie") for answer in again} == {None}


def test_pool_max_wait_and_wait_timeout() -> None:
    pool = 'pool = { max = 1, wait = 1, wait_timeout = "300ms" }'
    with (
        Upstream() as upstream,
        Plane(gateway(upstream.address, upstream=pool)) as plane,
        plane.connect() as first,
        plane.connect() as second,
        plane.connect() as third,
    ):
        first.send(GET)
        with upstream.accept() as server:
            server.request()
            second.send(GET)
            until(lambda: plane.statistics().pools[0].waiting == 1, "it waits")
            third.send(GET)
            refused = third.answer()
            assert (refused.status, proxy_error(refused)) == (503, "connection_limit_reached")
            timed_out = second.answer()
            assert (timed_out.status, proxy_error(timed_out)) == (503, "connection_limit_reached")
            pools = plane.statistics().pools[0]
            assert (pools.open, pools.refused, pools.timed_out) == (1, 1, 1)


def test_pool_idle() -> None:
    with one("pool = { idle = 0 }") as (upstream, client), exchange(client, upstream) as server:
        assert server.is_closed()


def test_pool_idle_timeout() -> None:
    pool = 'pool = { idle_timeout = "200ms" }'
    with one(pool) as (upstream, client), exchange(client, upstream) as server:
        began = time.monotonic()
        assert server.is_closed()
        assert time.monotonic() - began < 25  # 30 s by default


@pytest.mark.parametrize("bound", ["max_requests = 1", 'max_age = "20ms"'])
def test_pool_connection_has_its_time_and_its_uses(bound: str) -> None:
    with one(f"pool = {{ {bound} }}") as (upstream, client):
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            began = time.monotonic()
            until(lambda: time.monotonic() > began + 0.05, "it has grown old")
            server.send(OK)
            assert client.answer().status == 200
            client.send(GET)
            with upstream.accept() as other:
                other.request()
                other.send(OK)
                assert client.answer().status == 200


def test_connect_timeout(tmp_path: Path) -> None:
    # A unix socket whose queue is full stays unconnected for as long as one likes.
    path = str(tmp_path / "full")
    with Upstream(backlog=0, path=path), socket.socket(socket.AF_UNIX) as filler:
        filler.connect(path)
        with Plane(gateway(f"unix:{path}", upstream='connect_timeout = "2500ms"')) as plane:
            began = time.monotonic()
            answer = ask(plane)
            assert answer.status == 503
            assert time.monotonic() - began > 2.4  # 2 s by default; less than so much would be a bound on the machine


def test_read_timeout() -> None:
    with one('read_timeout = "200ms"') as (upstream, client):
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            answer = client.answer()
            assert (answer.status, proxy_error(answer)) == (504, "http_response_timeout")


def test_source_address() -> None:
    with one('source_address = "127.0.0.9"') as (upstream, client):
        client.send(GET)
        with upstream.accept() as server:
            assert server.sock.getpeername()[0] == "127.0.0.9"
            server.request()
            server.send(OK)
            assert client.answer().status == 200


def timer_of(port: int) -> str:
    """What the kernel says of the timer of the idle connection to ``port``."""
    shown = subprocess.run(["ss", "-tnoH", "dst", f"127.0.0.1:{port}"], capture_output=True, text=True, check=True)
    return shown.stdout


@pytest.mark.skipif(shutil.which("ss") is None, reason="ss is not installed (Debian: iproute2)")
@pytest.mark.parametrize(("setting", "seconds"), [("", 60), ('tcp = { keepalive = "20s" }', 20), ("off", None)])
def test_tcp_keepalive_is_set_on_the_socket(setting: str, seconds: int | None) -> None:
    if setting == "off":
        setting = 'tcp = { keepalive = "off" }'
    with one(setting) as (upstream, client), exchange(client, upstream):
        shown = timer_of(upstream.port)
        found = re.search(r"timer:\(keepalive,(?:(\d+)min)?(?:(\d+)(?:\.\d+)?sec)?", shown)
        if seconds is None:
            assert "ESTAB" in shown and found is None
        else:
            assert found is not None, shown
            left = 60 * int(found[1] or 0) + int(found[2] or 0)
            assert seconds - 5 <= left <= seconds


def test_tcp_user_timeout_is_set_on_the_socket() -> None:
    for setting, expected_ms in (('user_timeout = "7s"', 7000), ('user_timeout = "off"', 0), ("", 30_000)):
        with one(f"tcp = {{ {setting} }}") as (upstream, client), exchange(client, upstream) as server:
            assert user_timeout_ms(server.sock.getpeername()) == expected_ms


def user_timeout_ms(name: tuple[str, int]) -> int:
    """TCP_USER_TIMEOUT of the socket of this process that is bound to ``name``.

    No tool shows the option, but the duplicate of a descriptor is the same socket.
    """
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if not str(entry.readlink()).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as sock:
                if sock.family == socket.AF_INET and sock.getsockname() == name:
                    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        except FileNotFoundError:
            continue
    raise AssertionError(f"no socket is bound to {name}")
