"""Filters of the lab, in a gateway."""

import asyncio

import pytest

from tidegate import testing
from tidegate.errors import GatewayError, Kind
from tidegate.exchange.views import Response
from tidegate.lab.filters import AskWhoItIs, Blocks, Heart, KeepsRecords, Permissions


@pytest.mark.sanitize
def test_records_are_there_before_a_request_and_one_is_read():
    keeps = testing.make(KeepsRecords, records=10)
    request = testing.request("GET", "/")
    assert keeps.on_request(request) is None
    assert 0 <= int(request.headers["x-row"]) < 10


def test_blocking_holds_the_loop(monkeypatch):
    slept = []
    monkeypatch.setattr("tidegate.lab.filters.time.sleep", slept.append)
    assert testing.make(Blocks, holds="30ms").on_request(testing.request("GET", "/")) is None
    assert slept == [0.03]


@pytest.mark.parametrize(("status", "expected"), [(200, 200), (403, 401)])
def test_who_it_is_is_asked(status, expected):
    with testing.gateway() as who:
        who.upstream.answer = Response(status, "")
        with testing.gateway(testing.use(AskWhoItIs, service=f"127.0.0.1:{who.port}", timeout="10s")) as gateway:
            assert gateway.get("/").status == expected


def test_nobody_waits_for_a_service_that_does_not_answer():
    async def nobody():
        filter_ = testing.make(AskWhoItIs, service="127.0.0.1:1", timeout="10s")
        return await filter_.on_request(testing.request("GET", "/"))

    assert asyncio.run(nobody()).status == 503


class Pinged:
    def __init__(self, error):
        self.error, self.within_s = error, None

    def within(self, seconds):
        self.within_s = seconds
        return self

    async def ping(self):
        if self.error:
            raise self.error


@pytest.mark.parametrize("error", [None, GatewayError(Kind.CONNECTION_READ_TIMEOUT, "late")])
def test_a_heartbeat_says_whether_redis_answers(error):
    heart = testing.make(Heart, redis="main", within="30ms")
    heart.redis_links = {"main": Link(None)}
    heart.redis_links["main"].control = lane = Pinged(error)
    answer = asyncio.run(heart.on_request(testing.request("GET", "/beat")))
    assert (answer and answer.status) == (503 if error else None)
    assert lane.within_s == 0.03


def test_a_record_is_asked_for_where_the_cache_has_none():
    class Cache:
        async def get(self, key, load):
            self.found = key, await load(key)

    cache = Cache()
    with testing.gateway() as api:
        api.upstream.answer = lambda request: Response(200, request.target)
        permissions = testing.make(Permissions, cache="records", service=f"127.0.0.1:{api.port}")
        permissions.caches = {"records": cache}
        asyncio.run(permissions.on_request(testing.request("GET", "/shared")))
    assert cache.found == ("shared", b"/shared")


class Link:
    def __init__(self, lane):
        self.data = lane
