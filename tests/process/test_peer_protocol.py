"""Who is at the other end of the socket, as the application sees it."""

import asyncio
import os
import socket

import uvicorn

from tidegate.config.source import user
from tidegate.process.peer_protocol import PeerProtocol


async def told(address_family, address):
    """What the application says of a client that connects there."""

    async def application(scope, receive, send):
        body = repr(scope["client"]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    listener = socket.socket(address_family)
    listener.bind(address)
    listener.listen()
    config = uvicorn.Config(application, http=PeerProtocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    client = socket.socket(address_family)
    await asyncio.to_thread(client.connect, listener.getsockname())
    reader, writer = await asyncio.open_connection(sock=client)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    answer = (await reader.read()).partition(b"\r\n\r\n")[2].decode()
    writer.close()
    await writer.wait_closed()
    await server.shutdown(sockets=[listener])
    return answer


def test_client_of_a_unix_socket_has_the_name_of_its_user(tmp_path):
    answer = asyncio.run(told(socket.AF_UNIX, str(tmp_path / "s")))
    assert answer == repr((user(os.geteuid()), os.getpid()))


def test_client_over_tcp_has_its_address():
    assert asyncio.run(told(socket.AF_INET, ("127.0.0.1", 0))).startswith("('127.0.0.1', ")
