"""A server that is away, comes back, stands still, or serves nobody; and what callers and the log hear of it."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from tests.redis.links import Log, background, lanes, link_to, run, until
from tests.redis.servers import Server, serving

from tidegate.config.values import Address
from tidegate.errors import GatewayError, Kind
from tidegate.redis import connection as redis_connection
from tidegate.redis.connection import Connection, Greeting
from tidegate.redis.single import SingleLink
from tidegate.testing.relay import Relay


async def outcome(awaited: Any) -> Any:
    try:
        return await awaited
    except GatewayError as error:
        return error


async def serves(link: SingleLink) -> bool:
    return not isinstance(await outcome(link.data.ping()), GatewayError)


async def until_it_serves(link: SingleLink) -> None:
    while not await serves(link):  # noqa: ASYNC110 - asking is how one finds out
        await asyncio.sleep(0.01)


async def until_it_is_away(link: SingleLink) -> None:
    while not link.node.breaker.is_open:
        await outcome(link.data.within(0.05).ping())
        await asyncio.sleep(0.01)


def test_a_server_that_is_away_at_the_start_is_told_at_once_and_found_when_it_comes() -> None:
    with serving() as server:
        server.kill()

        async def scenario() -> None:
            log = Log()
            async with link_to(server.address, log=log) as link:
                error = await outcome(link.data.ping())
                assert isinstance(error, GatewayError) and error.kind is Kind.CONNECTION_REFUSED
                # Refused without an attempt of one's own: nothing is waited for.
                future = background(outcome(link.data.get("k")))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                refused = link.node.breaker.refused
                assert refused > 0 and future.done()
                await asyncio.gather(*(outcome(link.bulk.get("k")) for _ in range(100)))
                assert log.kinds == ["redis_unavailable"]
                assert "Connection refused" in log[0].message
                await asyncio.to_thread(server.start)
                await until_it_serves(link)
                assert log.kinds == ["redis_unavailable", "redis_available"]

        run(scenario())


def test_a_server_that_dies_is_noticed_by_everybody_and_said_once() -> None:
    with serving() as server:

        async def scenario() -> None:
            log = Log()
            async with link_to(server.address, log=log) as link:
                await asyncio.gather(link.control.ping(), link.data.ping(), link.bulk.ping())
                await asyncio.to_thread(server.kill)
                await until(lambda: link.node.breaker.is_open)
                asked = [outcome(one.ping()) for one in (link.control, link.data, link.bulk) for _ in range(10)]
                kinds = {error.kind for error in await asyncio.gather(*asked)}
                # A connection that the kernel took for the dying process is reset instead.
                assert kinds <= {Kind.CONNECTION_REFUSED, Kind.CONNECTION_TERMINATED}
                await asyncio.to_thread(server.start)
                await until_it_serves(link)
                await until(lambda: all(one.is_connected for one in link.statistics().lanes))
                assert log.kinds == ["redis_unavailable", "redis_available"]

        run(scenario())


def test_a_server_that_stands_still_is_away_after_a_few_deadlines() -> None:
    with serving() as server:

        async def scenario() -> None:
            log = Log()
            settings = lanes(timeout_s=0.1, wait_timeout_s=0.1, greeting=Greeting(connect_timeout_s=0.2))
            async with link_to(server.address, settings, log) as link:
                await until_it_serves(link)
                log.clear()
                server.stop(signal_=signal.SIGSTOP)
                try:
                    await until_it_is_away(link)
                    error = await outcome(link.data.get("k"))
                    assert isinstance(error, GatewayError) and error.status == 503
                    assert log.kinds == ["redis_unavailable"]
                finally:
                    server.stop(signal_=signal.SIGCONT)
                await until_it_serves(link)
                assert log.kinds == ["redis_unavailable", "redis_available"]

        run(scenario())


def test_where_no_local_port_is_left_only_who_needs_one_is_told_and_goes_on_when_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as server:

        async def scenario() -> None:
            log = Log()
            attempts = 0
            connect = redis_connection._connect

            async def no_port(address: Address, greeting: Greeting, make: Callable[[], Connection]) -> Connection:
                nonlocal attempts
                attempts += 1
                raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

            async with link_to(server.address, log=log) as link:
                await link.control.ping()
                monkeypatch.setattr(redis_connection, "_connect", no_port)
                found = await asyncio.gather(*(outcome(link.data.get("k")) for _ in range(1000)))
                assert {one.kind for one in found} == {Kind.GATEWAY_EXHAUSTED}
                assert await link.control.ping() == b"PONG"
                assert not link.node.breaker.is_open
                assert attempts < 20  # at pauses, whoever asks
                monkeypatch.setattr(redis_connection, "_connect", connect)
                await until_it_serves(link)

        run(scenario())


def test_one_silent_connection_is_replaced_while_the_server_talks_on_another() -> None:
    """The data lane goes through a relay that passes nothing any more; the control lane does not."""
    with serving() as server, Relay(server.address) as relay:

        async def scenario() -> None:
            log = Log()
            async with link_to(relay.address, lanes(timeout_s=0.2, wait_timeout_s=5.0), log) as link:
                await until_it_serves(link)
                link.node._where = lambda: _at(server)  # type: ignore[assignment]
                await until_it_serves(link)
                await outcome(link.control.ping())
                before = link.node.lanes["data"].connection
                relay.hold()
                while link.node.lanes["data"].connection is before:
                    await asyncio.gather(outcome(link.data.ping()), outcome(link.control.ping()))
                    await asyncio.sleep(0.01)
                    if link.node.breaker.is_open:
                        return  # the machine was so slow that the control lane was silent too
                await until_it_serves(link)
                assert log == []

        run(scenario())


async def _at(server: Server) -> Any:
    from tidegate.config.values import parse_address

    return parse_address(server.address)


def test_a_connection_that_is_cut_at_once_again_and_again_is_tried_within_the_budget() -> None:
    with serving() as server, Relay(server.address) as relay:

        async def scenario() -> None:
            log = Log()
            async with link_to(relay.address, log=log) as link:
                await until_it_serves(link)
                relay.is_refusing = True
                relay.cut()
                before = relay.accepted
                await until(lambda: link.node.pace.failures >= 5)
                assert relay.accepted - before <= link.node.pace.attempts
                assert log.kinds == ["redis_unavailable"]
                relay.is_refusing = False
                await until_it_serves(link)
                assert log.kinds == ["redis_unavailable", "redis_available"]

        run(scenario())


def test_only_one_lane_tries_while_the_server_is_away() -> None:
    with serving() as server, Relay(server.address) as relay:

        async def scenario() -> None:
            async with link_to(relay.address) as link:
                await asyncio.gather(link.control.ping(), link.data.ping(), link.bulk.ping())
                relay.is_refusing = True
                relay.cut()
                await until(lambda: link.node.breaker.is_open)
                failures = link.node.pace.failures
                await until(lambda: link.node.pace.failures >= failures + 4)
                assert link.node.pace.attempts <= 3 + link.node.pace.failures + 1
                relay.is_refusing = False
                await until(lambda: all(one.is_connected for one in link.statistics().lanes))

        run(scenario())


def test_a_server_that_is_full_of_clients_keeps_those_who_are_in() -> None:
    with serving("--maxclients", "2") as server:

        async def scenario() -> None:
            log = Log()
            async with link_to(server.address, log=log) as link:
                await link.control.ping()
                await until_it_serves(link)
                error = await outcome(link.bulk.ping())
                assert isinstance(error, GatewayError)  # which words arrive before the reset is the kernel's choice
                assert await link.data.ping() == b"PONG"
                assert not link.node.breaker.is_open and log == []

        run(scenario())


def test_a_server_out_of_memory_refuses_writes_and_is_not_away() -> None:
    with serving("--maxmemory", "1mb", "--maxmemory-policy", "noeviction") as server:

        async def scenario() -> None:
            log = Log()
            async with link_to(server.address, log=log) as link:
                errors = [await outcome(link.data.set(f"k{number}", b"x" * 60_000)) for number in range(40)]
                full = [error for error in errors if isinstance(error, GatewayError)]
                assert full and {error.kind for error in full} == {Kind.DESTINATION_UNAVAILABLE}
                assert {error.code for error in full} == {"OOM"}
                assert await link.data.ping() == b"PONG"
                assert log == []

        run(scenario())


def test_a_replica_without_its_master_is_away() -> None:
    """MASTERDOWN is answered to every command: it serves nobody."""
    with serving("--replica-serve-stale-data", "no") as server:

        async def scenario() -> None:
            log = Log()
            async with link_to(server.address, log=log) as link:
                await link.data.ping()
                await asyncio.to_thread(server.ask, "REPLICAOF", "127.0.0.1", "1")
                error = await outcome(link.data.get("k"))
                assert isinstance(error, GatewayError) and error.kind is Kind.DESTINATION_UNAVAILABLE
                await until(lambda: link.node.breaker.is_open)
                assert log.kinds == ["redis_unavailable"] and "MASTERDOWN" in log[0].message
                await asyncio.to_thread(server.ask, "REPLICAOF", "NO", "ONE")
                await until_it_serves(link)
                assert log.kinds == ["redis_unavailable", "redis_available"]

        run(scenario())


def test_a_read_only_replica_answers_reads(server: Server) -> None:
    with serving("--replicaof", "127.0.0.1", str(server.port)) as replica:

        async def scenario() -> None:
            async with link_to(replica.address) as link:
                await until_it_serves(link)
                error = await outcome(link.data.set("k", "v"))
                assert isinstance(error, GatewayError) and error.code == "READONLY"  # type: ignore[attr-defined]
                assert await link.data.get("nothing") is None

        run(scenario())


@pytest.mark.parametrize("when", ["before", "while connecting", "connected"])
def test_closing_leaves_no_connection_and_no_task(server: Server, when: str) -> None:
    async def scenario() -> None:
        before = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
        async with link_to(server.address) as link:
            if when != "before":
                asked = background(outcome(link.data.ping()))
                await asyncio.sleep(0)
                if when == "connected":
                    await asked
        await until(lambda: {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == before)
        assert not any(lane.connection for lane in link.node.lanes.values())
        assert isinstance(await outcome(link.data.ping()), GatewayError)

    run(scenario())
