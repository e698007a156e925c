"""What a limit is told of a request: shown by the names under which it is counted."""

from __future__ import annotations

import hashlib
import time

import pytest
from tests.exchange.filtered import OK
from tests.plane.harness import Plane, Upstream, until

from tidegate.memory.hitters import HitterReader
from tidegate.memory.meters import MeterReader

pytestmark = pytest.mark.sanitize


def test_a_limit_is_told_what_was_routed_and_not_what_was_sent() -> None:
    parts = '["client.ip", "method", "host", "path", "route", "upstream"]'
    with (
        Upstream() as upstream,
        Plane(
            f'[limits.all]\nrate = "1000/s"\nkey = {parts}\n[upstreams.u]\nendpoints = ["{upstream.address}"]\n'
            '[[routes]]\nname = "r"\npath = "/orders/*"\nupstream = "u"\nlimits = ["all"]\n',
            server='trusted_proxies = ["127.0.0.0/8"]',
        ) as plane,
        plane.connect() as client,
    ):
        client.send(b"GET /x/../orders/%31 HTTP/1.1\r\nHost: A.test:80\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().status == 200
        places = MeterReader(plane.region.mapping).places()["limit", "all"]
        reader = HitterReader(plane.region.mapping)
        (one,) = until(lambda: reader.within(places, time.monotonic_ns(), 1)[1], "it is counted")
        assert one.key == "192.0.2.7, GET, a.test, /orders/1, r, u"


RESPONDS = '[[routes]]\nname = "r"\nrespond = {}\n'


def statuses(plane: Plane, *fields: str) -> list[int]:
    """Of requests with these fields, one after the other on one connection."""
    found = []
    with plane.connect() as client:
        for one in fields:
            client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{one}\r\n".encode())
            found.append(client.answer().status)
    return found


def test_connection_of_a_proxy_brings_requests_of_many_clients() -> None:
    text = '[limits.edge]\nrate = "1/d"\nkey = "client.ip"\n' + RESPONDS + 'limits = ["edge"]\n'
    ann, bob = "X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-For: 192.0.2.2\r\n"
    with Plane(text, server='trusted_proxies = ["127.0.0.0/8"]') as plane:
        assert statuses(plane, ann, ann, bob, "", "", ann) == [200, 429, 200, 200, 429, 429]


def test_each_limit_has_its_own_fingerprint_of_a_client_and_of_who_asks() -> None:
    """More limits than a connection, or who asks, has room to keep the fingerprints of; and others after a reload."""
    keys = ", ".join(
        f'{{ key = "sha256:{hashlib.sha256(one.encode()).hexdigest()}", subject = "{one}" }}' for one in ("ann", "bob")
    )
    auth = f'[auth.a]\nkind = "key"\nkeys = [{keys}]\n'
    limits = {
        **{f"ip{number}": f'rate = "1/d"\nburst = {100 + number}\nkey = "client.ip"' for number in range(3)},
        **{f"who{number}": f'rate = "1/d"\nburst = {1 + number}\nkey = "auth.subject"' for number in range(3)},
    }
    declared = "".join(f"[limits.{name}]\n{text}\n" for name, text in limits.items())
    text = auth + declared + RESPONDS + f'auth = "a"\nlimits = {list(limits)}\n'
    ann, bob = "X-API-Key: ann\r\n", "X-API-Key: bob\r\n"
    with Plane(text) as plane, plane.connect() as client:

        def ask(who: str) -> str | None:
            client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{who}\r\n".encode())
            return client.answer().get("Tidegate-Limit")

        assert [ask(ann) for _ in range(3)] == [None, None, "who0"]
        assert [ask(bob) for _ in range(3)] == [None, None, "who0"]
        plane.reload(text.replace("'who0', ", ""))
        assert [ask(one) for one in (ann, ann, bob, bob)] == [None, "who1", None, "who1"]
        plane.reload(text.replace("'who0', 'who1', ", "").replace("'ip0', ", ""))
        assert [ask(one) for one in (ann, bob, ann, ann)] == [None, None, "who2", "who2"]
        assert ask(bob) == "who2"
