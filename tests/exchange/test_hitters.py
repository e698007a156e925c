"""Who asks most, as a finished exchange is counted: by the keys of its limits, and by who asked its route."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

import pytest
from tests.plane.harness import Peer, Plane, until
from tests.plane.serving import Fields, Serving

from tidegate.memory.hitters import HitterReader, KeyFigures
from tidegate.memory.meters import MeterReader

pytestmark = pytest.mark.sanitize

KEY = "sha256:" + hashlib.sha256(b"k").hexdigest()
AUTH = f'[auth.a]\nkind = "key"\nkeys = [{{ key = "{KEY}", subject = "ann", tenant = "acme" }}]\n'
LONG = 1


def answered(peer: Peer, line: str, fields: Fields, body: bytes) -> None:
    if line.split()[1] == "/socket":
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        return
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Serving]:
    with Serving(answered) as serving:
        yield serving


def limited(upstream: Serving, limits: str, route: str = 'limits = ["edge"]', listener: str = "") -> Plane:
    return Plane(
        f'{limits}\n[upstreams.u]\nendpoints = ["{upstream.address}"]\n'
        f'[[routes]]\nname = "all"\nupstream = "u"\nupgrade = true\n{route}\n',
        listener=listener,
    )


def ask(plane: Plane, *fields: str) -> list[int]:
    statuses = []
    with plane.connect() as client:
        for one in fields:
            client.send(f"GET / HTTP/1.1\r\nHost: a.test\r\n{one}\r\n".encode())
            statuses.append(client.answer().status)
    return statuses


def keys_of(plane: Plane, kind: str, name: str, count: int) -> dict[str, KeyFigures]:
    """Once so many requests have been counted."""
    meters, reader = MeterReader(plane.region.mapping), HitterReader(plane.region.mapping)

    def found() -> list[KeyFigures] | None:
        total, keys = reader.within(meters.places().get((kind, name), []), time.monotonic_ns(), LONG)
        return keys if round(total.requests) >= count else None

    return {one.key: one for one in until(found, f"{count} requests of {kind} {name}")}


def test_requests_and_refusals_of_each_key_are_counted(upstream: Serving) -> None:
    limits = '[limits.edge]\nrate = "1/d"\nburst = 1\nkey = "header:x-who"\nshow_keys = true\n'
    with limited(upstream, limits) as plane:
        assert ask(plane, *["X-Who: ann\r\n"] * 3, "X-Who: bob\r\n", "") == [200, 200, 429, 200, 200]
        keys = keys_of(plane, "limit", "edge", 5)
        assert {name: (round(one.requests), round(one.refusals)) for name, one in keys.items()} == {
            "ann": (3, 1),
            "bob": (1, 0),
            "(missing)": (1, 0),
        }
        assert keys["bob"].bytes == pytest.approx(100, abs=1)
        assert keys["bob"].upstream_s > 0
        assert keys_of(plane, "route", "all", 5)["127.0.0.1"].refusals == pytest.approx(1, abs=0.1)


def test_who_has_a_key_is_counted_for_its_subject_and_the_contract(upstream: Serving) -> None:
    limits = AUTH + '[limits.contract]\nrate = "1/d"\nkey = "auth.tenant"\n'
    with limited(upstream, limits, 'auth = "a"\nlimits = ["contract"]') as plane:
        assert ask(plane, *["X-API-Key: k\r\n"] * 2) == [200, 429]
        assert keys_of(plane, "route", "all", 2).keys() == {"ann"}
        (contract,) = keys_of(plane, "limit", "contract", 2).values()
        assert (contract.key, round(contract.requests), round(contract.refusals)) == ("acme", 2, 1)


def test_values_of_fields_are_shown_by_a_part_unless_the_operator_says_so(upstream: Serving) -> None:
    limits = '[limits.edge]\nrate = "1/d"\nkey = "header:x-token"\n'
    with limited(upstream, limits) as plane:
        ask(plane, "X-Token: swordfish-and-more\r\n")
        (shown,) = keys_of(plane, "limit", "edge", 1)
        assert shown.startswith("swor~")
        assert "swordfish" not in shown


def test_limits_of_the_listener_count_what_no_route_wants(upstream: Serving) -> None:
    limits = '[limits.edge]\nrate = "1000/s"\nkey = "client.ip"\n'
    with limited(upstream, limits, 'path = "/only"', listener='limits = ["edge"]') as plane:
        assert ask(plane, "") == [404]
        assert keys_of(plane, "limit", "edge", 1).keys() == {"127.0.0.1"}


@pytest.mark.parametrize(("limit", "counted"), [('rate = "1/d"', (2, 1)), ("concurrency = 0", (2, 2))])
def test_limit_of_endpoints_counts_for_the_one_that_got_it_or_refused(
    upstream: Serving, limit: str, counted: tuple[int, int]
) -> None:
    limits = f'[limits.each]\n{limit}\nkey = "endpoint"\n'
    with limited(upstream, limits, 'limits = ["each"]') as plane:
        ask(plane, "", "")
        keys = keys_of(plane, "limit", "each", 2)
        assert keys.keys() == {upstream.address}
        one = keys[upstream.address]
        assert (round(one.requests), round(one.refusals)) == counted


def test_upstream_time_of_an_upgrade_ends_with_the_switch(upstream: Serving) -> None:
    """A WebSocket that is open for hours keeps nobody busy."""
    with limited(upstream, "", "") as plane, plane.connect() as client:
        began_s = time.monotonic()
        client.send(
            b"GET /socket HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert client.head()[0].split()[1] == "101"
        switched_s = time.monotonic() - began_s
        deadline_s = time.monotonic() + switched_s + 0.05
        until(lambda: time.monotonic() > deadline_s, "longer than the switch took")
        client.sock.close()
        one = keys_of(plane, "route", "all", 1)["127.0.0.1"]
        assert one.upstream_s <= switched_s
