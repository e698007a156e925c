"""One look-up of a session in a real server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.redis.links import lanes, link_to, run
from tests.redis.servers import Server, serving

from tidegate.errors import GatewayError
from tidegate.filters.sessions.store import Renewal, SessionStore, UnusableSession

HOUR = Renewal(ttl_s=3600.0, below_s=1800.0, interval_s=60.0)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@asynccontextmanager
async def store(server: Server, **options: Any) -> AsyncIterator[SessionStore]:
    given: dict[str, Any] = {"prefix": "s:", "renewal": HOUR, "largest": 1024, "timeout_s": 60.0}
    async with link_to(server.address) as link:
        yield SessionStore({"main": link}, "main", **given | options)


async def found(server: Server, token: str, **options: Any) -> Any:
    async with store(server, **options) as sessions:
        return await sessions.look_up(token)


def left_s(server: Server, key: str) -> float:
    return float(server.ask("PTTL", key)) / 1000


def test_session_is_found_under_its_prefix(server: Server) -> None:
    server.ask("SET", "s:one", '{"user": "ann"}')
    assert run(found(server, "one")) == {"user": "ann"}
    assert run(found(server, "two")) is None
    assert run(found(server, "one", prefix="t:")) is None
    assert server.ask("PTTL", "s:one") == -1  # one without a time is given none


@pytest.mark.parametrize(("left", "renewed"), [(1790, True), (10, True), (1830, False), (7200, False)])
def test_session_is_extended_when_little_of_it_is_left(server: Server, left: int, renewed: bool) -> None:
    server.ask("SET", "s:renew", "{}", "EX", left)
    assert run(found(server, "renew")) == {}
    assert (left_s(server, "s:renew") > left) is renewed


def test_incidents_own_remedy_extends_once_an_interval(server: Server) -> None:
    """``ttl = "4h", renew_below = "4h"``: without the interval each look-up would write."""
    always = Renewal(ttl_s=14_400.0, below_s=14_400.0, interval_s=60.0)
    server.ask("SET", "s:four", "{}", "EX", 14_400)
    server.ask("CONFIG", "RESETSTAT")
    for _ in range(20):
        run(found(server, "four", renewal=always))
    assert "cmdstat_pexpire" not in server.ask("INFO", "commandstats").decode()
    server.ask("PEXPIRE", "s:four", 14_339_000)
    for _ in range(20):
        run(found(server, "four", renewal=always))
    assert "cmdstat_pexpire:calls=2," in server.ask("INFO", "commandstats").decode()  # the test's, and one renewal
    assert left_s(server, "s:four") > 14_390


def test_without_renewal_nothing_is_written(server: Server) -> None:
    server.ask("SET", "s:still", "{}", "EX", 10)
    assert run(found(server, "still", renewal=None)) == {}
    assert left_s(server, "s:still") <= 10


def test_renewal_says_from_when_on() -> None:
    assert HOUR.threshold_ms == 1_800_000
    assert Renewal(14_400.0, 14_400.0, 60.0).threshold_ms == 14_340_000
    assert Renewal(10.0, 5.0, 60.0).threshold_ms == 0


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "no JSON"), ("{", "no JSON"), ("[" * 1000, "no JSON"), (b"\xff\xfe", "no JSON"), ("[]", "no JSON object"),
        ("1", "no JSON object"), ("null", "no JSON object"), ('"ann"', "no JSON object"),
        ('{"a": "' + "x" * 2000 + '"}', "2009 bytes"),
    ],
)  # fmt: skip
def test_what_is_no_session_is_told_apart_from_none(server: Server, value: str | bytes, why: str) -> None:
    server.ask("SET", "s:odd", value)
    with pytest.raises(UnusableSession, match=why):
        run(found(server, "odd"))


def test_value_of_another_type_is_no_session(server: Server) -> None:
    server.ask("DEL", "s:hash")
    server.ask("HSET", "s:hash", "user", "ann")
    with pytest.raises(UnusableSession, match="no string"):
        run(found(server, "hash"))


def test_huge_value_is_not_sent_at_all(server: Server) -> None:
    async def main() -> int:
        async with link_to(server.address) as link:
            sessions = SessionStore({"main": link}, "main", prefix="s:", renewal=HOUR, largest=1024, timeout_s=60.0)
            with pytest.raises(UnusableSession, match="33554432 bytes"):
                await sessions.look_up("huge")
            return sum(one.bytes_in for one in link.statistics().lanes)

    server.ask("SETRANGE", "s:huge", 33_554_431, "x")
    try:
        assert run(main()) < 100_000
    finally:
        server.ask("DEL", "s:huge")


def test_any_token_of_visible_ascii_is_a_key(server: Server) -> None:
    token = "".join(map(chr, range(0x21, 0x7F)))
    server.ask("SET", f"s:{token}", '{"user": "odd"}')
    assert run(found(server, token)) == {"user": "odd"}


def test_read_only_replica_is_read_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with (
        serving("--repl-diskless-sync-delay", "0") as master,
        serving("--replicaof", f"127.0.0.1 {master.port}") as replica,
    ):
        master.ask("SET", "s:one", '{"user": "ann"}', "EX", 10)
        deadline = time.monotonic() + 60
        while replica.ask("EXISTS", "s:one") != 1:
            assert time.monotonic() < deadline
            time.sleep(0.02)

        async def main() -> None:
            async with store(replica) as sessions:
                for _ in range(3):
                    assert await sessions.look_up("one") == {"user": "ann"}
                    assert await sessions.look_up("two") is None
                sessions._largest = 4
                with pytest.raises(UnusableSession):
                    await sessions.look_up("one")

        with caplog.at_level(logging.WARNING):
            run(main())
        kinds = [getattr(one, "kind", "") for one in caplog.records]
        assert kinds.count("sessions_read_only") >= 1
        assert master.ask("PTTL", "s:one") < 10_001


def test_user_without_scripts_reads_all_the_same(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.ask("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+@read", "+@connection")
    server.ask("SET", "s:acl", '{"user": "ann"}', "EX", 10)

    async def main() -> None:
        from tidegate.redis.connection import Greeting

        greeting = Greeting(user="reader", password=lambda: "x", connect_timeout_s=60.0)
        async with link_to(server.address, lanes(greeting=greeting)) as link:
            sessions = SessionStore({"main": link}, "main", prefix="s:", renewal=HOUR, largest=1024, timeout_s=60.0)
            for _ in range(5):
                assert await sessions.look_up("acl") == {"user": "ann"}

    with caplog.at_level(logging.WARNING):
        run(main())
    assert [getattr(one, "kind", "") for one in caplog.records] == ["sessions_read_only"]
    assert left_s(server, "s:acl") <= 10


def test_full_server_is_read_and_renewed(server: Server) -> None:
    with serving() as full:
        full.ask("SET", "s:one", '{"user": "ann"}', "EX", 10)
        full.ask("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction")
        assert full.ask("SET", "x", "y").args[0].startswith("OOM")
        assert run(found(full, "one")) == {"user": "ann"}


def test_server_that_is_away_or_silent_is_an_error_in_time() -> None:
    with serving() as one:

        async def silent() -> None:
            async with store(one, timeout_s=0.1) as sessions:
                assert await sessions.look_up("x") is None
                one.ask("CLIENT", "PAUSE", 60_000, "ALL")
                with pytest.raises(GatewayError):
                    await sessions.look_up("x")

        run(silent())

    async def away() -> None:
        async with link_to("127.0.0.1:1") as link:
            sessions = SessionStore({"main": link}, "main", prefix="s:", renewal=None, largest=10, timeout_s=30.0)
            with pytest.raises(GatewayError):
                await sessions.look_up("x")

    run(away())


def test_concurrent_look_ups_renew_once(server: Server) -> None:
    async def main() -> None:
        async with store(server) as first, store(server) as second:
            await asyncio.gather(*(one.look_up("many") for one in (first, second) * 50))

    server.ask("SET", "s:many", "{}", "EX", 100)
    server.ask("CONFIG", "RESETSTAT")
    run(main())
    assert "cmdstat_pexpire:calls=1," in server.ask("INFO", "commandstats").decode()
    assert left_s(server, "s:many") > 3500
