"""Tidegate as a process of the lab."""

import asyncio

import pytest

from tidegate.lab.pieces.client import ask
from tidegate.lab.pieces.gateway import Gateway
from tidegate.lab.pieces.process import below, lives
from tidegate.process.failure import StartError

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def answering(body):
    return f'[[routes]]\nname = "all"\nrespond = {{ body = "{body}" }}\n'


def test_it_serves_reloads_tells_of_itself_and_leaves_nothing(tmp_path):
    async def serve():
        async with Gateway(tmp_path, answering("one"), workers=1) as gateway:
            first = await ask(gateway.address)
            assert await gateway.health(30) == 200
            (pid,) = await gateway.worker_pids()
            await gateway.reload(answering("two"))
            second = await ask(gateway.address)
            with pytest.raises(StartError, match="refuses a configuration"):
                await gateway.reload("[upstreams.x]\nendpoints = []\n")
            mine = [*below(gateway.pid)]
            assert pid in [pid for pid, _ in mine]
            assert isinstance(gateway.errors(), list)
        return first.body, second.body, mine

    first, second, mine = asyncio.run(serve())
    assert (first, second) == (b"one", b"two")
    assert [pid for pid, began in mine if lives(pid, began)] == []


def test_what_keeps_it_from_starting_is_said(tmp_path):
    async def serve():
        async with Gateway(tmp_path, "nonsense = 1\n", workers=1):
            raise AssertionError

    with pytest.raises(StartError, match=r"the gateway of the lab does not start: .*nonsense"):
        asyncio.run(serve())
