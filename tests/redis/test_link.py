"""From options to links: each option, seen from outside."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.redis.links import Log, background, run, until
from tests.redis.servers import Server, free_port

from tidegate.config.redis import Redis, RedisPool
from tidegate.config.upstreams import UpstreamTLS
from tidegate.errors import GatewayError, Kind
from tidegate.redis.link import Link, make_link, node_settings
from tidegate.testing.relay import Relay


@asynccontextmanager
async def linked(**options: Any) -> AsyncIterator[Link]:
    link = make_link("main", Redis(**{"connect_timeout": 60.0, "timeout": 60.0} | options), Log().say)
    try:
        yield link
    finally:
        link.close()


async def outcome(awaited: Any) -> Any:
    try:
        return await awaited
    except GatewayError as error:
        return error


async def client_info(link: Link) -> dict[str, str]:
    said = (await link.data.call("CLIENT", "INFO")).decode()
    return dict(part.split("=", 1) for part in said.split())


def test_url_user_password_and_name(server: Server, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    server.ask("ACL", "SETUSER", "optional", "on", ">s3cret", "~*", "+@all")

    async def scenario() -> None:
        url = f"redis://optional@{server.address}/4"
        async with linked(url=url, password=f"file:{secret}", client_name="tidegate-test") as link:
            info = await client_info(link)
            assert (info["user"], info["db"], info["name"]) == ("optional", "4", "tidegate-test")
        async with linked(url=f"redis://{server.address}", user="optional", password=f"file:{secret}") as link:
            assert (await client_info(link))["user"] == "optional"
        async with linked(url=f"unix://{server.socket_path}?db=1") as link:
            assert (await client_info(link))["db"] == "1"

    run(scenario())


def test_password_is_read_again_for_each_connection(tmp_path: Path, server: Server) -> None:
    secret = tmp_path / "password"
    secret.write_text("old")
    server.ask("ACL", "SETUSER", "rotating", "on", ">old", "~*", "+@all")

    async def scenario(relay: Relay) -> None:
        async with linked(url=f"redis://rotating@{relay.address}", password=f"file:{secret}") as link:
            await link.data.ping()
            server.ask("ACL", "SETUSER", "rotating", "resetpass", ">new")
            secret.write_text("new")
            relay.cut()
            await until(lambda: any(one.reconnects for one in link.statistics().lanes))
            assert await link.data.ping() == b"PONG"

    with Relay(server.address) as relay:
        run(scenario(relay))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_tls_options(server: Server, authority: trustme.CA, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    authority.issue_cert("redis.internal").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    roots, own = tmp_path / "ca.pem", authority.issue_cert("gate.internal")
    authority.cert_pem.write_to_path(roots)
    own.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    right = {
        "ca": str(roots),
        "name": "redis.internal",
        "cert": str(tmp_path / "cert.pem"),
        "key": str(tmp_path / "key.pem"),
    }

    async def kind(relay: Relay, **options: Any) -> Kind | None:
        tls = UpstreamTLS(**right | options)
        async with linked(url=f"rediss://{relay.address}", tls=tls) as link:
            error = await outcome(link.data.ping())
            return error.kind if isinstance(error, GatewayError) else None

    async def scenario(relay: Relay) -> None:
        assert await kind(relay) is None
        assert await kind(relay, name="another.internal") is Kind.TLS_CERTIFICATE_ERROR
        assert await kind(relay, name="another.internal", verify=False) is None
        assert await kind(relay, ca=None) is Kind.TLS_CERTIFICATE_ERROR
        # Whether the alert or the end of the connection is seen first is the kernel's choice.
        refused = (Kind.TLS_PROTOCOL_ERROR, Kind.CONNECTION_TERMINATED)
        assert await kind(relay, min_version="1.3") in refused
        assert await kind(relay, cert=None, key=None) in refused

    with Relay(server.address, tls=context) as relay:
        run(scenario(relay))


def test_rediss_alone_verifies_with_the_roots_of_the_system() -> None:
    greeting = node_settings(Redis(url="rediss://127.0.0.1")).greeting
    assert greeting.tls is not None and greeting.tls().verify_mode == ssl.CERT_REQUIRED
    assert node_settings(Redis(url="redis://127.0.0.1")).greeting.tls is None


def test_connect_timeout_is_for_the_greeting_too(server: Server) -> None:
    async def scenario(relay: Relay) -> None:
        relay.hold()
        async with linked(url=f"redis://{relay.address}", connect_timeout=0.1) as link:
            error = await outcome(link.data.ping())
            assert error.kind is Kind.CONNECTION_TIMEOUT and "0.1 s" in error.detail

    with Relay(server.address) as relay:
        run(scenario(relay))


def test_timeout_and_bulk_timeout_are_for_their_lanes(server: Server) -> None:
    async def scenario() -> None:
        async with linked(url=f"redis://{server.address}", timeout=0.2, bulk_timeout=60.0) as link:
            await asyncio.gather(*(outcome(one.within(60.0).ping()) for one in (link.control, link.data, link.bulk)))
            slow = ("BLPOP", "link:nothing", 1.5)
            late = await asyncio.gather(*(outcome(one.call(*slow)) for one in (link.data, link.bulk)))
            assert isinstance(late[0], GatewayError) and late[0].kind is Kind.CONNECTION_READ_TIMEOUT
            assert late[1] is None

    run(scenario())


def test_linger_and_batch_are_for_the_data_lane(server: Server) -> None:
    async def scenario() -> None:
        async with linked(url=f"redis://{server.address}", linger=1.0, batch=3) as link:
            await asyncio.gather(*(link.data.ping() for _ in range(3)))
            lane = link.node.lanes["data"]  # type: ignore[attr-defined]
            before = lane.statistics().writes
            waiting = []
            for _ in range(3):
                waiting.append(link.data.ping())
                await asyncio.sleep(0)
            await asyncio.gather(*waiting)
            assert lane.statistics().writes == before + 1
            assert lane.linger_s == 1.0 and lane.batch == 3
            assert link.node.lanes["control"].linger_s == 0.0  # type: ignore[attr-defined]

    run(scenario())


def test_what_helped_the_push_service_is_configuration_and_merges_the_commands_of_unrelated_callers(
    server: Server,
) -> None:
    """Pipelines of three commands or 5 ms, 400 connections at most, and waiting: as it was mended there."""

    async def scenario() -> None:
        pool = RedisPool(max=400, wait=100_000, wait_timeout=60.0)
        async with linked(url=f"redis://{server.address}", batch=3, linger=0.005, pool=pool, timeout=60.0) as link:
            await link.data.ping()  # alone: nothing but the 5 ms sends it
            lane = link.node.lanes["data"]  # type: ignore[attr-defined]
            before = lane.statistics()
            callers = [background(outcome(link.data.set(f"remedy:{at % 100}", b"x"))) for at in range(3000)]
            await asyncio.gather(*callers)
            after = lane.statistics()
            assert after.commands - before.commands == 3000
            assert after.writes - before.writes <= 1000
            assert (after.connects, after.turned_away, after.timeouts) == (1, 0, 0)

    run(scenario())


def test_pool_bounds_what_is_under_way(server: Server) -> None:
    async def scenario() -> None:
        pool = RedisPool(max=2, wait=3, bytes=2000, wait_timeout=0.2)
        async with linked(url=f"redis://{server.address}", pool=pool) as link:
            await outcome(link.data.ping())
            asked = [background(outcome(link.data.call("BLPOP", "link:nothing", 2))) for _ in range(6)]
            kinds = [one.kind if isinstance(one, GatewayError) else one for one in await asyncio.gather(*asked)]
            assert kinds.count(None) == 2
            assert kinds.count(Kind.CONNECTION_READ_TIMEOUT) == 3  # waited for as long as they may
            assert kinds.count(Kind.CONNECTION_LIMIT_REACHED) == 1
            await outcome(link.data.ping())
            large = [link.data.call("ECHO", b"x" * 1500) for _ in range(3)]
            assert len(link.node.lanes["data"].waiting) == 1  # type: ignore[attr-defined]
            await asyncio.gather(*large)

    run(scenario())


def test_a_server_that_is_away_costs_the_start_nothing() -> None:
    async def scenario() -> None:
        async with linked(url=f"redis://127.0.0.1:{free_port()}") as link:
            assert link.statistics().is_available

    run(scenario())
