"""Scripts: called by digest, sent in full once, and again when the server has forgotten them."""

from __future__ import annotations

import asyncio

import pytest
from tests.redis.links import link_to, run, until
from tests.redis.servers import Server

from tidegate.redis.errors import ReplyError
from tidegate.redis.scripts import Script

ADD = "return redis.call('INCRBY', KEYS[1], ARGV[1]) -- {}"


def test_a_script_is_sent_once_however_many_call_it(server: Server) -> None:
    async def scenario() -> None:
        script = Script(ADD.format("once"))
        async with link_to(server.address) as link:
            await link.data.delete("script:n")
            found = await asyncio.gather(*(script.run(link.data, ["script:n"], [1]) for _ in range(50)))
            assert sorted(found) == list(range(1, 51))
            assert script.loads == 1
            calls = {one.name: one.calls for one in link.statistics().commands}
            assert calls["EVAL"] == 1

    run(scenario())


def test_a_server_that_has_forgotten_it_is_told_again(server: Server) -> None:
    async def scenario() -> None:
        script = Script(ADD.format("again"))
        async with link_to(server.address) as link:
            await link.data.delete("script:m")
            assert await script.run(link.data, ["script:m"], [5]) == 5
            await link.data.call("SCRIPT", "FLUSH")
            assert await script.run(link.data, ["script:m"], [5]) == 10
            assert await script.run(link.data, ["script:m"], [5]) == 15
            assert script.loads == 2

    run(scenario())


def test_a_script_that_fails_fails_its_caller_only(server: Server) -> None:
    async def scenario() -> None:
        script = Script("return redis.call('NONSENSE')")
        async with link_to(server.address) as link:
            for _ in range(2):
                with pytest.raises(ReplyError):
                    await script.run(link.data)
            assert await link.data.ping() == b"PONG"
            assert await Script("return 7").run(link.data) == 7

    run(scenario())


def test_who_waits_for_a_load_that_is_cancelled_loads_himself(server: Server) -> None:
    async def scenario() -> None:
        script = Script(ADD.format("cancelled"))
        async with link_to(server.address) as link:
            await link.data.call("SCRIPT", "FLUSH")
            callers = [asyncio.Task(script.run(link.data, ["script:c"], [1])) for _ in range(3)]
            await until(lambda: script.loads)
            callers[0].cancel()
            found = await asyncio.gather(*callers, return_exceptions=True)
            assert sum(isinstance(one, int) for one in found) >= 2

    run(scenario())
