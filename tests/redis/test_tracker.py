"""Changed keys, as a real server names them."""

from __future__ import annotations

import itertools
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.redis.links import link_to, run, until
from tests.redis.servers import Server, serving

from tidegate.errors import GatewayError, Kind
from tidegate.redis.tracker import Tracker
from tidegate.testing.relay import Relay

_numbers = itertools.count()


def prefix() -> str:
    return f"track*[{next(_numbers)}]:"


@asynccontextmanager
async def tracking(address: str, of: str, heard: list[bytes], quiet_s: float = 60.0) -> AsyncIterator[Tracker]:
    async with link_to(address) as link:
        one = await Tracker.open(link.node, of.encode(), heard.extend, quiet_s)
        try:
            yield one
        finally:
            one.close()


def test_every_change_of_its_keys_is_named_and_no_other(server: Server) -> None:
    of = prefix()
    a, b, c = (f"{of}{key}" for key in "abc")

    async def scenario() -> None:
        heard: list[bytes] = []
        async with tracking(server.address, of, heard) as one:
            server.ask("MSET", a, 1, b, 2, "elsewhere", 3)
            await until(lambda: {a.encode(), b.encode()} <= set(heard))
            server.ask("SET", c, 1, "PX", 1)
            server.ask("DEL", a)
            server.ask("RENAME", b, "elsewhere")
            heard.clear()
            await until(lambda: c.encode() in heard)  # it has expired, or was heard late
            await one.ping()
            assert b"elsewhere" not in heard
            server.ask("HSET", a, "field", 1)
            await until(lambda: a.encode() in heard)

    run(scenario())


def test_all_keys_are_read_and_only_what_is_text_under_the_prefix(server: Server) -> None:
    of = prefix()

    async def scenario() -> None:
        async with tracking(server.address, of, []) as one:
            for number in range(150):
                server.ask("SET", f"{of}{number}", number)
            server.ask("SET", of.replace("*", "x"), "a pattern would match this")
            server.ask("SADD", f"{of}set", 1)
            assert dict([pair async for pair in one.read_all()]) == {
                f"{of}{number}".encode(): b"%d" % number for number in range(150)
            }

    run(scenario())


def test_one_whose_connection_is_lost_says_so_at_once_and_from_then_on(server: Server) -> None:
    async def scenario() -> None:
        calls: list[list[bytes]] = []
        with Relay(server.address) as relay:
            async with link_to(relay.address) as link:
                one = await Tracker.open(link.node, b"lost:", calls.append, 60.0)
                relay.cut()
                await until(lambda: [] in calls)
                for _ in range(2):
                    with pytest.raises(GatewayError):
                        await one.ping()

    run(scenario())


def test_an_emptied_server_ends_it() -> None:
    async def scenario() -> None:
        with serving() as other:
            calls: list[list[bytes]] = []
            async with link_to(other.address) as link:
                one = await Tracker.open(link.node, b"any:", calls.append, 60.0)
                other.ask("FLUSHALL")
                await until(lambda: [] in calls)
                with pytest.raises(GatewayError, match="emptied"):
                    await one.ping()

    run(scenario())


def test_a_server_that_says_nothing_is_given_up() -> None:
    async def scenario() -> None:
        with serving() as other:
            async with tracking(other.address, "silent:", [], quiet_s=0.1) as one:
                other.stop(signal_=signal.SIGSTOP)
                with pytest.raises(GatewayError) as error:
                    await one.ping()
                assert error.value.kind is Kind.CONNECTION_READ_TIMEOUT

    run(scenario())


def test_a_server_that_cannot_is_told_apart_from_one_that_is_away() -> None:
    async def scenario() -> None:
        with serving("--rename-command", "HELLO", "") as old:
            with pytest.raises(GatewayError, match="RESP3") as error:
                async with tracking(old.address, "a:", []):
                    pass
            assert error.value.kind is Kind.PROXY_CONFIGURATION_ERROR
        with pytest.raises(GatewayError) as error:
            async with tracking("127.0.0.1:1", "a:", []):
                pass
        assert error.value.kind is Kind.CONNECTION_REFUSED

    run(scenario())
