"""What came of a request is told, whatever it was."""

import asyncio
import socket

from tidegate.lab.pieces.client import Load, ask
from tidegate.lab.pieces.service import Answer, Service


async def hello(request):
    return Answer(404 if request.target == "/none" else 200, request.fields.get("x-number", "").encode())


def test_an_answer_is_told():
    async def told():
        async with Service(hello) as service:
            return await ask(service.address, "/", {"X-Number": "7"}), await ask(service.address, "/none")

    found, missing = asyncio.run(told())
    assert (found.status, found.body, found.is_served, found.trouble) == (200, b"7", True, "")
    assert found.fields["content-length"] == "1"
    assert (missing.status, missing.is_served) == (404, False)
    assert found.ended_s == found.at_s + found.took_s


def test_trouble_is_told():
    async def told():
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            timeout = await ask(address, patience_s=0.05)
        return timeout, await ask(address)

    timeout, refused = asyncio.run(told())
    assert (timeout.status, timeout.trouble) == (0, "timeout")
    assert (refused.status, refused.trouble) == (0, "ConnectionRefusedError")


def test_a_load_sends_as_many_as_are_due_and_tells_of_each():
    async def told():
        async with Service(hello) as service:
            load = Load(service.address, per_s=100, fields=lambda at: {"X-Number": str(at)})
            await load.run(0.2)
            return load

    load = asyncio.run(told())
    assert sorted(int(one.body) for one in load.told) == list(range(20))
    assert load.count(lambda one: one.is_served) == 20
    assert load.under_way == 0
    due = sorted(one.at_s for one in load.told)
    assert abs((due[-1] - due[0]) - 0.19) < 1e-6


def test_a_load_does_not_wait_for_answers():
    async def told():
        arrived = asyncio.Event()
        count = 0

        async def all_or_nobody(_):
            nonlocal count
            count += 1
            if count == 10:
                arrived.set()
            await arrived.wait()
            return Answer()

        async with Service(all_or_nobody) as service:
            load = Load(service.address, per_s=100, patience_s=60)
            await load.run(0.1)
            return load.count(lambda one: one.is_served)

    assert asyncio.run(told()) == 10
