"""What clients meet while the server behind a gateway's link is in trouble, each kind of it, for all who use the link.

One gateway has a filter with a cache, sessions, and limits of a fleet, all on one link to a real server. ``Met`` is
what the pages promise of each of them; a route that uses none of them is served all the time.
"""

from __future__ import annotations

import itertools
import json
import signal
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import hiredis
import pytest
import trustme
from tests.plane.harness import Plane, until
from tests.redis.servers import Server, serving
from tests.redis.test_sentinel import Set

from tidegate.testing.relay import Relay

ANN = json.dumps({"user": "ann"})
POLICIES = ("deny", "allow", "share")
CONFIGURATION = """
[redis.main]
url = "{url}"
timeout = "{patience}"
pool = {{ wait_timeout = "{patience}" }}
[cache.values]
redis = "main"
[cache.sessions]
[filters.cached]
class = "tests.plane.trouble_filters:Cached"
[filters.sessions]
class = "tidegate.filters.session_auth:SessionAuth"
redis = "main"
cache = "sessions"
ttl = "4h"
renew_below = "4h"
remember = "1ms"
timeout = "{patience}"
{limits}
[[routes]]
name = "cached"
path = "/cached/*"
filters = ["cached"]
respond = {{}}
[[routes]]
name = "session"
path = "/session"
filters = ["sessions"]
respond = {{}}
[[routes]]
name = "open"
path = "/open"
respond = {{}}
"""
LIMIT = """
[limits.{policy}]
rate = "2/h"
burst = 50
scope = "fleet"
store = "main"
latency_cap = "{cap}"
on_store_failure = "{policy}"
key = "header:X-User"
[[routes]]
name = "{policy}"
path = "/{policy}"
limits = ["{policy}"]
respond = {{}}
"""


class Met(NamedTuple):
    """Statuses: of a value that is not at hand, of a session that is there and one that is not, and of three requests
    of somebody new under a limit for each of `POLICIES`."""

    cached: int
    known: int
    unknown: int
    deny: list[int]
    allow: list[int]
    share: list[int]


SERVED = Met(200, 200, 401, [200] * 3, [200] * 3, [200] * 3)
# Values are fetched from their origin; nobody is let in as somebody; the limits decide as is said for each: a lone
# gateway's share of two an hour is one in each half of it, without the burst.
AWAY = Met(200, 503, 503, [429] * 3, [200] * 3, [200, 429, 429])
# Sessions are read, and not extended; what a limit would lend cannot be written.
READ_ONLY = AWAY._replace(known=200, unknown=401)


class Clients:
    """Clients of a gateway, each request of a kind that no gateway remembers."""

    def __init__(self, plane: Plane, first: int = 0) -> None:
        self.plane = plane
        self._numbers = itertools.count(first)
        self.number = first

    def status(self, path: str, fields: str = "") -> int:
        return self.plane.get(path, fields).status

    def known(self) -> int:
        return self.status("/session", "Cookie: session=ann\r\n")

    def met(self) -> Met:
        self.number = number = next(self._numbers)
        limited = [[self.status(f"/{one}", f"X-User: u{number}\r\n") for _ in range(3)] for one in POLICIES]
        assert self.status("/open") == 200
        return Met(
            self.status(f"/cached/{number}"),
            self.known(),
            self.status("/session", f"Cookie: session=x{number}\r\n"),
            *limited,
        )


def gateway(server: Server, patience: str = "5s", cap: str = "1s", url: str = "") -> Plane:
    """``patience``: far, where the server answers; what is silent is waited for, and so not for long. ``url``: of the
    server, with what stands below it in the file, when it is not the plain one."""
    limits = "".join(LIMIT.format(policy=policy, cap=cap) for policy in POLICIES)
    text = CONFIGURATION.format(url=url or f"redis://{server.address}/0", patience=patience, limits=limits)
    return Plane(text, server='filter_packages = ["tests"]')


def kill(server: Server) -> None:
    server.kill()


def stop(server: Server) -> None:
    server.stop(signal_=signal.SIGSTOP)


def tell(server: Server, *commands: tuple[str, ...]) -> None:
    """Sends commands over one connection; whether they are ever answered is not waited for."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as one:
        one.sendall(b"".join(map(hiredis.pack_command, commands)))


def sleep(server: Server) -> None:
    """For longer than the test; it ends with the server."""
    tell(server, ("DEBUG", "SLEEP", "600"))


def lose_its_master(server: Server) -> None:
    server.ask("CONFIG", "SET", "replica-serve-stale-data", "no")
    server.ask("REPLICAOF", "127.0.0.1", "1")


def want_a_password(server: Server) -> None:
    """From those who connect; whoever is connected is sent away."""
    tell(server, ("CONFIG", "SET", "requirepass", "another"), ("CLIENT", "KILL", "TYPE", "normal"))


def load(server: Server) -> None:
    """Started anew with so much to load that it says LOADING for five minutes; it answers between two keys."""
    server.ask("CONFIG", "SET", "rdbcompression", "no")
    server.ask("DEBUG", "POPULATE", "6000", "much", "1100")
    server.ask("SAVE")
    server.kill()
    server.start("--key-load-delay", "50000", "--loading-process-events-interval-bytes", "1024")
    assert b"\r\nloading:1\r\n" in server.ask("INFO", "persistence")


def fill(server: Server) -> None:
    server.ask("CONFIG", "SET", "maxmemory", "1")


def become_a_replica(server: Server) -> None:
    server.ask("REPLICAOF", "127.0.0.1", "1")


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (kill, AWAY), (stop, AWAY), (sleep, AWAY), (load, AWAY), (lose_its_master, AWAY), (want_a_password, AWAY),
        (fill, READ_ONLY), (become_a_replica, READ_ONLY),
    ],
)  # fmt: skip
def test_whatever_the_server_suffers_from_everybody_meets_what_was_promised(
    trouble: Callable[[Server], None], expected: Met
) -> None:
    with serving() as server:
        server.ask("SET", "session:ann", ANN)
        with gateway(server, *(("400ms", "200ms") if trouble in {stop, sleep} else ())) as plane:
            clients = Clients(plane)
            until(lambda: clients.met() == SERVED, "all is well")
            trouble(server)
            until(lambda: clients.known() == expected.known, "the trouble is noticed")
            assert [clients.met() for _ in range(3)] == [expected] * 3


def test_a_server_that_is_away_at_the_start_keeps_no_gateway_from_starting_and_is_used_when_it_comes() -> None:
    with serving() as server:
        server.kill()
        with gateway(server) as plane:
            clients = Clients(plane)
            assert clients.met() == AWAY
            server.start()
            server.ask("SET", "session:ann", ANN)
            until(lambda: clients.met() == SERVED, "it is used")


def test_keys_of_another_type_are_as_if_nobody_had_written_them() -> None:
    with serving() as server:
        server.ask("SET", "session:ann", ANN)
        with gateway(server) as plane:
            clients = Clients(plane)
            until(lambda: clients.met() == SERVED, "all is well")
            last = f"{{/cached/{clients.number}}}".encode()
            until(lambda: any(key.endswith(last) for key in server.ask("KEYS", "*")), "the value is stored")
        for key in server.ask("KEYS", "*"):
            if not key.endswith(b":nodes"):
                server.ask("DEL", key)
                server.ask("LPUSH", key, "of another type")
        with gateway(server) as plane:
            assert Clients(plane, clients.number).met() == AWAY._replace(known=401, unknown=401)


def test_a_server_with_the_certificate_of_another_is_as_if_it_were_away(tmp_path: Path) -> None:
    authority, roots = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(roots)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("redis.internal").configure_cert(context)
    with serving() as server, Relay(server.address, tls=context) as relay:
        server.ask("SET", "session:ann", ANN)
        for name, expected in (("redis.internal", SERVED), ("other.internal", AWAY)):
            url = f'rediss://{relay.address}/0"\ntls.ca = "{roots}"\ntls.name = "{name}'
            with gateway(server, url=url) as plane:
                clients = Clients(plane)
                until(lambda: clients.met() == expected, f"{name} is met so")  # noqa: B023 - before the next
                assert clients.known() == expected.known


@pytest.mark.slow
def test_when_a_master_dies_values_are_served_all_the_time_and_everything_is_when_its_replica_is_followed() -> None:
    servers = Set()
    try:
        master, replica = servers.servers
        master.ask("SET", "session:ann", ANN)
        until(lambda: replica.ask("GET", "session:ann"), "the replica has it")
        until(lambda: servers.sentinel.ask("SENTINEL", "REPLICAS", "mymaster"), "the Sentinel knows of it")
        url = f'redis://mymaster/0"\nsentinels = ["{servers.sentinel.address}"]\nclient_name = "gateway'
        with gateway(master, url=url) as plane:
            clients = Clients(plane)
            until(lambda: clients.met() == SERVED, "all is well")
            master.kill()
            met: list[Met] = []

            def is_served() -> bool:
                met.append(clients.met())
                return met[-1] == SERVED

            until(is_served, "the replica is the master")
    finally:
        servers.close()
    assert {one.cached for one in met} == {200}
    assert all(one.allow == [200] * 3 for one in met)
    assert {one.known for one in met} <= {200, 503}
