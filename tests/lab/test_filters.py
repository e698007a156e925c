"""Filters of the lab, in a gateway."""

import asyncio

import pytest

from tidegate import testing
from tidegate.exchange.views import Response
from tidegate.lab.filters import AskWhoItIs, Blocks, KeepsRecords, Sessions


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


class Lane:
    def __init__(self, session, ttl_s):
        self.session, self.left_s, self.extended = session, ttl_s, []

    async def get(self, key):
        return self.session

    async def ttl_s(self, key):
        return self.left_s

    async def expire(self, key, ttl_s):
        self.extended.append((key, ttl_s))


class Link:
    def __init__(self, lane):
        self.data = lane


@pytest.mark.parametrize(
    ("session", "ttl_s", "status", "extended"),
    [(None, None, 401, []), (b"ann", 60.0, None, [("session:a", 3600.0)]), (b"ann", 7200.0, None, [])],
)
def test_a_session_is_found_and_extended_when_it_ends_soon(session, ttl_s, status, extended):
    sessions = testing.make(Sessions, redis="main")
    lane = Lane(session, ttl_s)
    sessions.redis_links = {"main": Link(lane)}
    answer = asyncio.run(sessions.on_request(testing.request("GET", "/", headers={"X-Session": "a"})))
    assert (answer and answer.status) == status
    assert lane.extended == extended
