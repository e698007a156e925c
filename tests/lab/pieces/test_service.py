"""An HTTP server that counts what it has."""

import asyncio

from tidegate.lab.pieces.client import ask
from tidegate.lab.pieces.service import Answer, Service
from tidegate.lab.stage import until


async def echo(request):
    return Answer(201, f"{request.method} {request.target} {request.fields.get('x-a')}".encode())


def test_it_answers_one_request_after_the_other_on_a_connection():
    async def serve():
        async with Service(echo) as service:
            host, _, port = service.address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /1 HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
            found = [await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(n) for n in (8, 11)]
            writer.close()
            return found, service.taken, service.connections

    found, taken, connections = asyncio.run(serve())
    assert found[0].startswith(b"HTTP/1.1 201 ") and found[0].endswith(b"GET /1 b")
    assert found[1].endswith(b"GET /2 None")
    assert (taken, connections) == (2, 1)


def test_who_leaves_is_not_in_flight_any_more():
    async def leave():
        never = asyncio.Event()

        async def wait(_):
            await never.wait()
            return Answer()

        async with Service(wait) as service:
            asking = [asyncio.ensure_future(ask(service.address)) for _ in range(3)]  # noqa: TID251 - cancelled below
            await until(lambda: service.in_flight == 3, "all are in flight")
            asking[0].cancel()
            await until(lambda: service.in_flight == 2, "one has left")
            never.set()
            told = await asyncio.gather(*asking[1:])
            return [one.status for one in told], service.most_in_flight, service.open_connections

    statuses, most, _ = asyncio.run(leave())
    assert statuses == [200, 200]
    assert most == 3
