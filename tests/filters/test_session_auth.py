"""Sessions in a real Redis, end to end."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import socketserver
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from tests.cache.caches import Clock
from tests.cache.caches import cache as cache_with
from tests.redis.links import link_to, run
from tests.redis.servers import Server, serving

from tidegate import Filter, Request, Response, testing
from tidegate.cache.cache import Cache
from tidegate.cache.codec import codec_named
from tidegate.config.options import make
from tidegate.filters.session_auth import SessionAuth
from tidegate.filters.tokens.auth import Refusal, Verdict
from tidegate.filters.tokens.principal import Principal
from tidegate.redis.link import Link
from tidegate.testing.gateway import Gateway
from tidegate.testing.relay import Relay

FAR_S = 60.0
ANN = {"user": "ann", "org": "acme", "plan": "gold", "weight": 7, "name": "Ann Ä."}
LONG = {"remember": "1h", "timeout": "30s"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as one:
        one.ask("SET", "session:a1", json.dumps(ANN))
        one.ask("SET", "session:b2", json.dumps({"user": "bob"}))
        yield one


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    with Relay(server.address) as one:
        yield one


def tables_for(address: str, cache: dict[str, Any] | None = None) -> dict[str, Any]:
    """Where sessions are, and what remembers them."""
    far = {"timeout": "60s", "pool": {"wait_timeout": "60s"}}
    return {
        "redis": {"main": {"url": f"redis://{address}/0", **far}},
        "cache": {"sessions": {"jitter": 0, "early_refresh": 0, **(cache or {})}},
    }


@contextmanager
def gateway(
    address: str,
    *,
    cache: dict[str, Any] | None = None,
    route: Any = None,
    listener: Any = None,
    config: Any = None,
    **options: Any,
) -> Iterator[Gateway]:
    """A gateway whose one route wants a session, and a route ``/open`` that does not."""
    opened = {"name": "open", "path": "/open", "upstream": "upstream"}
    tables = {**tables_for(address, cache), "routes": [opened], **(config or {})}
    use = testing.use(SessionAuth, **{"redis": "main", "cache": "sessions"} | LONG | options)
    with testing.gateway(use, route=route, listener=listener, config=tables) as gw:
        yield gw


def filter_on(sessions: Cache, link: Link, remember: float = 60.0) -> SessionAuth:
    """The filter in a worker that has this cache and this link."""
    made = make(SessionAuth, {"redis": "main", "cache": "sessions", "remember": remember, "timeout": FAR_S})
    made.caches, made.redis_links = {"sessions": sessions}, {"main": link}
    made.prepare()
    return made


async def judged(by: SessionAuth, token: str) -> Verdict:
    verdict = by.judge(token, hashlib.sha256(token.encode()).digest())
    return verdict if isinstance(verdict, Principal | Refusal) else await verdict


def cookie(token: str) -> dict[str, str]:
    return {"Cookie": f"session={token}"}


def gets(server: Server) -> int:
    """Look-ups that the server has seen, of scripts and plain ones."""
    said = server.ask("INFO", "commandstats").decode()
    return sum(
        int(line.partition("calls=")[2].partition(",")[0])
        for line in said.splitlines()
        if line.startswith(("cmdstat_evalsha", "cmdstat_eval:"))
    )


def until_status(gw: Gateway, status: int, fields: dict[str, str]) -> None:
    deadline = time.monotonic() + FAR_S
    while gw.get("/", fields).status != status:
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -- whom it lets in --------------------------------------------------------------------------------------------------


def test_session_lets_in_as_whom_it_says(server: Server) -> None:
    limit = {"rate": "1/h", "burst": 0, "key": "auth.tenant", "tiers": {"gold": {"rate": "1/h", "burst": 1}}}
    with gateway(
        server.address, headers={"X-User": "user", "X-Name": "name", "X-None": "none"}, subject="user", tenant="org",
        tier="plan", priority="weight", header="Authorization", scheme="Bearer", cookie="session", prefix="session:",
        max_token=64, max_value="1KiB", realm="shop", anonymous="never", forward_token=False,
        route={"limits": ["contract"]}, config={"limits": {"contract": limit}},
    ) as gw:  # fmt: skip
        assert gw.get("/", {"Cookie": "a=1; session=a1", "X-User": "root", "X-None": "x"}).status == 200
        assert gw.get("/", {"Authorization": "Bearer a1"}).status == 200
        assert gw.get("/", cookie("a1")).status == 429
        assert gw.get("/", cookie("b2")).status == 200
        first, second = gw.upstream.received[:2]
        assert (first.get_all("X-User"), first.get("X-Name"), first.get("X-None")) == (["ann"], "Ann %C3%84.", None)
        assert first.get("Cookie") == "a=1" and second.get("Authorization") is None
        assert not gw.errors


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "token_missing"), (cookie("nobody"), "token_unknown"), (cookie(""), "token_missing"),
        ({"Cookie": "session=a1; session=b2"}, "token_repeated"), (cookie("a" * 600), "token_too_long"),
        ({"Authorization": "Bearer caf\xe9"}, "token_malformed"), (cookie("*"), "token_unknown"),
    ],
)  # fmt: skip
def test_who_has_no_session_gets_401(server: Server, fields: dict[str, str], reason: str) -> None:
    with gateway(server.address) as gw:
        answer = gw.get("/", fields)
        assert (answer.status, answer.json()["type"]) == (401, f"urn:tidegate:{reason}")
        assert str(answer.get("WWW-Authenticate")).startswith('Bearer realm="tidegate"')
        assert not gw.upstream.received


def test_token_of_64_kib_is_refused_without_a_look_up(server: Server) -> None:
    before = gets(server)
    with gateway(server.address, listener={"max_head": "96KiB"}) as gw:
        for fields in (cookie("a" * 65_536), {"Authorization": f"Bearer {'a' * 65_536}"}):
            assert gw.get("/", fields).json()["type"] == "urn:tidegate:token_too_long"
    assert gets(server) == before


@pytest.mark.parametrize(
    "value", ["[]", "1", "{", "", '{"user": 1.5}', '{"user": ""}', "{}", '{"user": "' + "x" * 70_000 + '"}']
)
def test_value_that_is_no_session_lets_nobody_in(server: Server, value: str) -> None:
    server.ask("SET", "session:odd", value)
    with gateway(server.address) as gw:
        answer = gw.get("/", cookie("odd"))
        assert (answer.status, answer.json()["type"]) == (401, "urn:tidegate:token_unknown")


def test_value_of_another_type_lets_nobody_in(server: Server) -> None:
    server.ask("LPUSH", "session:list", "x")
    with gateway(server.address) as gw:
        assert gw.get("/", cookie("list")).status == 401


# -- how often it is looked up ----------------------------------------------------------------------------------------


def test_session_is_looked_up_once_however_many_come(server: Server, relay: Relay) -> None:
    with gateway(relay.address) as gw, ThreadPoolExecutor(16) as pool:
        assert gw.get("/", cookie("b2")).status == 200  # the connection is there, the script loaded
        before = gets(server)
        relay.hold()
        waiting = [pool.submit(gw.get, "/", cookie("a1")) for _ in range(16)]
        while gw.get("/open").status == 200 and sum(one.running() for one in waiting) < 16:
            time.sleep(0.01)
        relay.release()
        assert {one.result().status for one in waiting} == {200}
        assert gw.get("/", cookie("a1")).status == 200
        assert gets(server) == before + 1


def test_session_that_another_worker_has_found_is_as_good(server: Server) -> None:
    """It comes from the machine's tier as JSON."""

    async def travel(gw: Gateway) -> None:
        cache = gw._server.caches["sessions"]
        ((key, entry),) = cache.entries.items()
        codec = codec_named("json")
        await cache.set(key, codec.decode(codec.encode(entry.value)), ttl=3600.0)

    with gateway(server.address, headers={"X-User": "user", "X-None": "none"}) as gw:
        assert gw.get("/", cookie("a1")).status == 200
        asyncio.run_coroutine_threadsafe(travel(gw), gw.loop).result(FAR_S)
        before = gets(server)
        assert gw.get("/", cookie("a1") | {"X-None": "x"}).status == 200
        assert gets(server) == before
        assert [(got.get("X-User"), got.get("X-None")) for got in gw.upstream.received] == [("ann", None)] * 2


def test_session_that_is_not_there_is_remembered_for_a_while(server: Server) -> None:
    with gateway(server.address, cache={"negative_ttl": "1h"}) as gw:
        assert gw.get("/", cookie("later")).status == 401
        before = gets(server)
        assert [gw.get("/", cookie("later")).status for _ in range(5)] == [401] * 5
        assert gets(server) == before


def test_revoked_session_lets_in_no_longer_than_it_is_remembered(server: Server) -> None:
    server.ask("SET", "session:gone", '{"user": "eve"}')
    with gateway(server.address, remember="50ms") as gw:
        assert gw.get("/", cookie("gone")).status == 200
        server.ask("DEL", "session:gone")
        until_status(gw, 401, cookie("gone"))


def test_who_believes_for_longer_keeps_nothing_alive_for_others(server: Server) -> None:
    async def scenario() -> None:
        clock = Clock()
        async with link_to(server.address) as link:
            shared = cache_with(clock)
            long, short = filter_on(shared, link, 3600.0), filter_on(shared, link, 60.0)
            server.ask("SET", "session:c3", json.dumps(ANN))
            assert all([isinstance(await judged(one, "c3"), Principal) for one in (long, short)])
            server.ask("DEL", "session:c3")
            clock.now += 100.0
            assert isinstance(await judged(long, "c3"), Principal)
            assert isinstance(await judged(short, "c3"), Refusal)

    run(scenario())


@pytest.mark.parametrize("tag", ["subject:eve", f"session:{hashlib.sha256(b'out').hexdigest()}"])
def test_session_can_be_forgotten_at_once(server: Server, tag: str) -> None:
    class LogOut(Filter):
        async def on_request(self, request: Request) -> Response:
            await self.caches["sessions"].invalidate_tag(tag)
            return Response(204)

    server.ask("SET", "session:out", '{"user": "eve"}')
    out = {"name": "out", "path": "/out", "filters": ["filter1"], "respond": {"status": 204}}
    tables = {**tables_for(server.address), "routes": [out]}
    sessions = testing.use(SessionAuth, redis="main", cache="sessions", **LONG)
    with testing.gateway(sessions, LogOut, route={"path": "/in", "filters": ["filter0"]}, config=tables) as gw:
        assert gw.get("/in", cookie("out")).status == 200
        server.ask("DEL", "session:out")
        assert gw.get("/in", cookie("out")).status == 200
        assert gw.get("/out").status == 204
        assert gw.get("/in", cookie("out")).status == 401


def test_session_in_use_is_extended(server: Server) -> None:
    server.ask("SET", "session:use", '{"user": "ann"}', "EX", 100)
    with gateway(server.address, ttl="4h", renew_below="4h", renew_interval="1m") as gw:
        assert gw.get("/", cookie("use")).status == 200
    assert server.ask("PTTL", "session:use") > 14_000_000


# -- while Redis is in trouble ----------------------------------------------------------------------------------------


def test_slow_redis_holds_nobody_else_up(server: Server, relay: Relay) -> None:
    with gateway(relay.address, timeout="20s") as gw, ThreadPoolExecutor(8) as pool:
        assert gw.get("/", cookie("a1")).status == 200
        relay.hold()
        waiting = [pool.submit(gw.get, "/", cookie(f"x{number}")) for number in range(8)]
        for _ in range(20):  # a loop that was held would answer none of these
            assert gw.get("/open").status == 200
            assert gw.get("/", cookie("a1")).status == 200
        assert not any(one.done() for one in waiting)
        relay.release()
        assert {one.result().status for one in waiting} == {401}


def test_look_up_that_takes_too_long_is_a_503(server: Server, relay: Relay) -> None:
    with gateway(relay.address, timeout="100ms") as gw:
        assert gw.get("/", cookie("b2")).status in (200, 503)  # the first connection may take its time
        relay.hold()
        answer = gw.get("/", cookie("a1"))
        assert (answer.status, answer.json()["type"]) == (503, "urn:tidegate:store_unavailable")
        assert answer.get("Retry-After") == "1"
        relay.release()
        until_status(gw, 200, cookie("a1"))


def test_redis_that_stops_in_the_midst_of_a_load_makes_nobody_wait_longer_than_his_cap() -> None:
    """The cap is 0.25 s; the link alone would wait for a minute (`tables_for`): half of that tells whose it was."""
    told: list[tuple[int, int, float]] = []
    with serving() as server, ThreadPoolExecutor(6) as pool:
        server.ask("SET", "session:a1", json.dumps(ANN))
        with gateway(server.address, timeout="250ms", remember="1ms") as gw:
            is_over = threading.Event()

            def caller(number: int) -> None:
                while not is_over.wait(0.01):
                    began = time.monotonic()
                    told.append((number, gw.get("/", cookie("a1")).status, time.monotonic() - began))

            def until_all_have(status: int, since: int) -> int:
                deadline = time.monotonic() + FAR_S
                while {number for number, got, _ in told[since:] if got == status} != set(range(6)):
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                return len(told)

            callers = [pool.submit(caller, number) for number in range(6)]
            try:
                at = until_all_have(200, 0)
                server.stop(signal_=signal.SIGSTOP)
                at = until_all_have(503, at)
                server.stop(signal_=signal.SIGCONT)
                until_all_have(200, at)
            finally:
                is_over.set()
            for one in callers:
                one.result()
    assert {status for _, status, _ in told} == {200, 503}
    assert max(took for _, _, took in told) < 30


@pytest.mark.parametrize(("choice", "status"), [("deny", 503), ("allow_cached", 200)])
def test_while_redis_is_away_it_is_as_was_chosen(choice: str, status: int) -> None:
    with serving() as server:
        server.ask("SET", "session:a1", json.dumps(ANN))
        with gateway(server.address, remember="1ms", on_store_failure=choice, cache={"stale_if_error": "1h"}) as gw:
            assert gw.get("/", cookie("a1")).status == 200
            server.kill()
            deadline = time.monotonic() + FAR_S
            while (got := gw.get("/", cookie("b2")).status) != 503:  # never known
                assert got == 401 and time.monotonic() < deadline
            assert {gw.get("/", cookie("a1")).status for _ in range(5)} == {status}
            assert {gw.get("/", cookie("b2")).status for _ in range(5)} == {503}
            assert gw.get("/open").status == 200
            server.start()
            server.ask("SET", "session:b2", json.dumps(ANN))
            until_status(gw, 200, cookie("b2"))


@pytest.mark.parametrize(
    "reply", [b"-LOADING the dataset is in memory soon\r\n", b"-NOAUTH log in first\r\n", b"garbage\r\n"]
)
def test_server_that_serves_nobody_is_a_503(reply: bytes) -> None:
    class Says(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.request.recv(4096):
                self.wfile.write(reply)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Says) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with gateway(f"127.0.0.1:{server.server_address[1]}", timeout="5s") as gw:
                answer = gw.get("/", cookie("a1"))
                assert (answer.status, answer.json()["type"]) == (503, "urn:tidegate:store_unavailable")
                assert gw.get("/open").status == 200
        finally:
            server.shutdown()
            thread.join()


def test_server_that_is_not_there_at_the_start_is_a_503_until_it_is() -> None:
    with serving() as server:
        server.kill()
        with gateway(server.address) as gw:
            assert gw.get("/", cookie("a1")).status == 503
            server.start()
            server.ask("SET", "session:a1", json.dumps(ANN))
            until_status(gw, 200, cookie("a1"))


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"redis": "other"}, 'no redis is named "other"'),
        ({"renew_below": "1h"}, "no effect without `ttl`"),
        ({"prefix": ""}, "any key of the server"),
        ({"ttl": "30s"}, "shorter than `ttl`"),
        ({"ttl": "1h", "renew_below": "2h"}, "at most `ttl`"),
        ({"subject": "off"}, "would say nothing"),
    ],
)
def test_options_that_cannot_be_meant_are_findings(options: dict[str, Any], finding: str) -> None:
    with pytest.raises(ValueError, match=finding), gateway("127.0.0.1:1", **options):
        pass


@pytest.mark.parametrize(
    ("cache", "finding"), [({"redis": "main"}, "sessions are there already"), ({"machine": "16MiB"}, 'codec = "json"')]
)
def test_cache_that_cannot_keep_sessions_is_a_finding(cache: dict[str, Any], finding: str) -> None:
    with pytest.raises(ValueError, match=finding), gateway("127.0.0.1:1", cache=cache):
        pass


def test_cache_that_is_not_there_is_a_finding() -> None:
    tables = {"redis": {"main": {"url": "redis://127.0.0.1:1/0"}}, "cache": {"session": {}}}
    use = testing.use(SessionAuth, redis="main", cache="sessions")
    with pytest.raises(ValueError, match='no cache is named "sessions"'), testing.gateway(use, config=tables):
        pass
