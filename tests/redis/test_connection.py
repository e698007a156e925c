"""Opening a connection: greetings, logins, TLS, unix sockets, and every way in which it can fail."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from tests.redis.links import FAR_S, lanes, link_to, run
from tests.redis.servers import Server, free_port, serving

from tidegate.config.values import Address, parse_address
from tidegate.errors import GatewayError, Kind, Source
from tidegate.redis.connection import Connection, Greeting, open_connection
from tidegate.redis.errors import ReplyError
from tidegate.testing.relay import Relay


async def ask(connection: Connection, *command: Any) -> Any:
    (answer,) = await connection.ask(command)
    return answer


def greeted(address: str | Address, **greeting: Any) -> Any:
    """What CLIENT INFO says of such a connection, as a table."""

    async def scenario() -> dict[str, str]:
        where = parse_address(address) if isinstance(address, str) else address
        connection = await open_connection(where, Greeting(**{"connect_timeout_s": FAR_S} | greeting))
        said = (await ask(connection, "CLIENT", "INFO")).decode()
        connection.abort(GatewayError(Kind.CONNECTION_TERMINATED, "done"))
        await connection.lost
        return dict(part.split("=", 1) for part in said.split())

    return run(scenario())


def failure(address: str, **greeting: Any) -> GatewayError:
    async def scenario() -> GatewayError:
        with pytest.raises(GatewayError) as error:
            await open_connection(parse_address(address), Greeting(**{"connect_timeout_s": FAR_S} | greeting))
        return error.value

    return run(scenario())


@asynccontextmanager
async def answering(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A server that does what it is told with each connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def failure_of(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], **greeting: Any
) -> GatewayError:
    async with answering(answer) as address:
        with pytest.raises(GatewayError) as error:
            await open_connection(parse_address(address), Greeting(**{"connect_timeout_s": FAR_S} | greeting))
        return error.value


def test_a_server_is_greeted_in_resp3_with_name_and_database(server: Server) -> None:
    info = greeted(server.address, name="tidegate-worker-3", database=5)
    assert (info["name"], info["db"], info["resp"]) == ("tidegate-worker-3", "5", "3")


def test_a_server_that_knows_no_hello_is_greeted_in_resp2() -> None:
    with serving("--rename-command", "HELLO", "", "--requirepass", "secret") as old:
        info = greeted(old.address, name="tidegate-old", database=2, password=lambda: "secret")
        assert (info["name"], info["db"], info["resp"]) == ("tidegate-old", "2", "2")
        assert failure(old.address, password=lambda: "wrong").kind is Kind.PROXY_CONFIGURATION_ERROR
        old_user = failure(old.address, user="nobody", password=lambda: "secret")
        assert old_user.kind is Kind.PROXY_CONFIGURATION_ERROR and "WRONGPASS" in old_user.detail


def test_user_and_password_are_those_of_the_moment(server: Server) -> None:
    server.ask("ACL", "SETUSER", "gate", "on", ">first", "~*", "+@all")
    assert greeted(server.address, user="gate", password=lambda: "first")["user"] == "gate"
    wrong = failure(server.address, user="gate", password=lambda: "second")
    assert wrong.kind is Kind.PROXY_CONFIGURATION_ERROR and wrong.source is Source.INTERNAL
    assert "WRONGPASS" in wrong.detail and "second" not in wrong.detail
    server.ask("ACL", "SETUSER", "gate", ">second")
    assert greeted(server.address, user="gate", password=lambda: "second")["user"] == "gate"


def test_a_password_that_cannot_be_read_is_the_configurations_fault(server: Server) -> None:
    def missing() -> str:
        raise ValueError("environment variable REDIS_PASSWORD is not set")

    error = failure(server.address, password=missing)
    assert error.kind is Kind.PROXY_CONFIGURATION_ERROR and "REDIS_PASSWORD" in error.detail


def test_a_database_that_is_not_there_is_said(server: Server) -> None:
    error = failure(server.address, database=99)
    assert error.kind is Kind.PROXY_CONFIGURATION_ERROR and "DB index" in error.detail


def test_a_unix_socket_is_an_address_too(server: Server) -> None:
    assert greeted(Address(path=server.socket_path))["name"] == "tidegate"
    assert failure(f"unix:{server.folder}/nothing.sock").kind is Kind.CONNECTION_REFUSED


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving_tls(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_tls_is_spoken_with_the_name_that_is_expected(server: Server, authority: trustme.CA) -> None:
    with Relay(server.address, tls=serving_tls(authority, "redis.internal")) as relay:
        info = greeted(relay.address, tls=lambda: trusting(authority), tls_name="redis.internal")
        assert info["resp"] == "3"


def test_a_certificate_of_another_name_is_refused(server: Server, authority: trustme.CA) -> None:
    with Relay(server.address, tls=serving_tls(authority, "other.internal")) as relay:
        error = failure(relay.address, tls=lambda: trusting(authority), tls_name="redis.internal")
        assert error.kind is Kind.TLS_CERTIFICATE_ERROR
        assert "redis.internal" in error.detail


def test_a_server_without_tls_is_no_server_with_it(server: Server, authority: trustme.CA) -> None:
    error = failure(server.address, tls=lambda: trusting(authority), tls_name="x", connect_timeout_s=2.0)
    assert error.kind in (Kind.TLS_PROTOCOL_ERROR, Kind.CONNECTION_TERMINATED, Kind.CONNECTION_TIMEOUT)


def test_large_values_pass_through_tls(server: Server, authority: trustme.CA) -> None:
    async def scenario(address: str) -> None:
        greeting = Greeting(tls=lambda: trusting(authority), tls_name="redis.internal", connect_timeout_s=FAR_S)
        async with link_to(address, lanes(greeting=greeting)) as link:
            value = bytes(range(256)) * 4 * 4096
            await link.data.set("tls:large", value)
            assert await link.data.get("tls:large") == value
            await link.data.delete("tls:large")

    with Relay(server.address, tls=serving_tls(authority, "redis.internal")) as relay:
        run(scenario(relay.address))


def test_nobody_listens() -> None:
    assert failure(f"127.0.0.1:{free_port()}").kind is Kind.CONNECTION_REFUSED


def test_a_name_that_does_not_resolve() -> None:
    assert failure("nowhere.invalid:6379").kind is Kind.DNS_ERROR


def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    error = run(failure_of(silent, connect_timeout_s=0.1))
    assert error.kind is Kind.CONNECTION_TIMEOUT and "0.1 s" in error.detail


def test_a_server_that_loads_its_data_is_away() -> None:
    async def loading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"%1\r\n+server\r\n+valkey\r\n-LOADING Valkey is loading the dataset in memory\r\n")
        await reader.read()

    error = run(failure_of(loading))
    assert error.kind is Kind.DESTINATION_UNAVAILABLE and "loading" in error.detail


def test_something_else_that_listens_is_named_so() -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    assert run(failure_of(http)).kind is Kind.HTTP_PROTOCOL_ERROR


def test_a_server_that_hangs_up_is_said() -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)

    assert run(failure_of(rude)).kind is Kind.CONNECTION_TERMINATED


def test_a_reply_that_is_too_large_is_an_error_and_the_next_one_is_not(server: Server) -> None:
    async def scenario() -> None:
        greeting = Greeting(largest_reply=100_000, connect_timeout_s=FAR_S)
        async with link_to(server.address, lanes(greeting=greeting)) as link:
            await link.data.call("SETRANGE", "toolarge", 200_000, "x")
            asked, behind = link.data.get("toolarge"), link.data.call("ECHO", "behind")
            with pytest.raises(GatewayError) as error:
                await asked
            assert error.value.kind is Kind.HTTP_RESPONSE_BODY_SIZE and "200001 bytes" in error.value.detail
            assert await behind == b"behind"

    run(scenario())


def test_answers_of_errors_are_returned_not_raised(server: Server) -> None:
    async def scenario() -> None:
        connection = await open_connection(parse_address(server.address), Greeting(connect_timeout_s=FAR_S))
        assert isinstance(await ask(connection, "NONSENSE"), ReplyError)
        assert "open" in repr(connection) and connection.local_port > 0
        connection.abort(GatewayError(Kind.CONNECTION_TERMINATED, "done"))
        assert (await connection.lost).detail == "done"

    run(scenario())
