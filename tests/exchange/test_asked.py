"""What a limit is told of a request: shown by the names under which it is counted."""

from __future__ import annotations

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
