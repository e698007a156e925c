"""The typed face, command by command against the real server, in both protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.redis.links import link_to, run
from tests.redis.servers import Server, serving

from tidegate.errors import GatewayError, Kind
from tidegate.redis.client import Client


@pytest.fixture(scope="module", params=["RESP3", "RESP2"])
def spoken(request: pytest.FixtureRequest, server: Server) -> Iterator[Server]:
    """The server, and one that knows no HELLO."""
    if request.param == "RESP3":
        yield server
    else:
        with serving("--rename-command", "HELLO", "") as old:
            yield old


async def strings(client: Client) -> None:
    assert await client.get("s") is None
    assert await client.set("s", "é") == b"OK"
    assert await client.get("s") == "é".encode()
    assert await client.set("s", b"\0\r\n", only_if="absent") is None
    assert await client.set("s", b"\0\r\n", only_if="present") == b"OK"
    assert await client.mget(["s", "nothing"]) == [b"\0\r\n", None]
    assert await client.getdel("s") == b"\0\r\n"
    assert await client.incr("n") == 1
    assert await client.incr("n", -5) == -4
    assert await client.set("f", 1.5) == b"OK"
    assert await client.get("f") == b"1.5"


async def times(client: Client) -> None:
    assert await client.ttl_s("t") is None
    await client.set("t", "x")
    assert await client.ttl_s("t") == float("inf")
    assert await client.expire("t", 100) == 1
    assert 0 < (await client.ttl_s("t") or 0) <= 100
    assert await client.set("t", "y", keep_ttl=True) == b"OK"
    assert (await client.ttl_s("t") or 1e9) <= 100
    assert await client.getex("t", 1000) == b"y"
    assert 100 < (await client.ttl_s("t") or 0) <= 1000
    assert await client.persist("t") == 1
    assert await client.ttl_s("t") == float("inf")
    await client.set("t", "z", ttl_s=0.0001)  # the shortest there is: a millisecond
    assert await client.expire("nothing", 1) == 0
    assert await client.time_s() > 1.7e9


async def hashes(client: Client) -> None:
    assert await client.hgetall("h") == {}
    assert await client.hset("h", {"a": 1, b"b": "two"}) == 2
    assert await client.hget("h", "a") == b"1"
    assert await client.hget("h", "nothing") is None
    assert await client.hmget("h", ["a", "nothing", "b"]) == [b"1", None, b"two"]
    assert await client.hgetall("h") == {b"a": b"1", b"b": b"two"}
    assert await client.hincrby("h", "a", 4) == 5
    assert await client.hdel("h", "a", "nothing") == 1


async def sets(client: Client) -> None:
    assert await client.sadd("m", "a", b"b", "a") == 2
    assert await client.smembers("m") == {b"a", b"b"}
    assert await client.srem("m", "a") == 1
    assert await client.zadd("z", {"a": 1, "b": 2.5, "c": 10}) == 3
    assert await client.zcard("z") == 3
    assert await client.zrangebyscore("z", "-inf", "(10") == [b"a", b"b"]
    assert await client.zrangebyscore("z", 0, 100, limit=1) == [b"a"]
    assert await client.zremrangebyscore("z", 0, 1) == 1
    assert await client.zrem("z", "b", "nothing") == 1


async def keys(client: Client) -> None:
    await client.set("k", 1)
    assert await client.exists("k", "nothing") == 1
    assert await client.delete("k", "nothing") == 1
    assert await client.publish("nobody", "hello") == 0
    assert await client.ping() == b"PONG"
    assert await client.call("OBJECT", "ENCODING", "z") is not None


@pytest.mark.parametrize("do", [strings, times, hashes, sets, keys], ids=lambda do: do.__name__)
def test_commands_say_what_they_promise(spoken: Server, do: object) -> None:
    async def scenario() -> None:
        async with link_to(spoken.address) as link:
            await link.data.call("DEL", "s", "n", "f", "t", "h", "m", "z", "k")
            if do is keys:
                await link.data.zadd("z", {"a": 1})
            await do(link.data)  # type: ignore[operator]

    run(scenario())


def test_a_client_has_a_time_of_its_own_on_each_lane(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            await asyncio.gather(link.data.ping(), link.bulk.ping())
            for client in (link.data.within(0.05), link.bulk.within(0.05)):
                with pytest.raises(GatewayError) as late:
                    await client.call("BLPOP", "nothing", 1)
                assert late.value.kind is Kind.CONNECTION_READ_TIMEOUT
            assert repr(link.data.within(1.0)) == "<Client data>"

    run(scenario())
