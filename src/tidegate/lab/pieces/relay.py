"""A relay between a client and a server that misbehaves on purpose, as networks and servers do.

    with Relay("127.0.0.1:6379") as relay:
        link = …(relay.address)
        relay.delay_s = 0.05            # each way
        relay.bytes_per_s = 125e6       # both ways together, all connections: a link of 1 Gbit/s
        relay.hold()                    # takes everything and passes nothing on: the peer that went away without a word
        relay.release()
        relay.say(b"garbage")           # to every client, in the midst of whatever it was being sent
        relay.half_close()              # the end of the server's bytes, while the client's still pass
        relay.cut()                     # every connection reset
        relay.is_refusing = True        # new ones reset as soon as they are accepted

It runs on a loop of its own in a thread, on a free port of loopback. Given a TLS context it speaks TLS to its clients.
"""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any, Self

from tidegate.process import tasks

__all__ = ["Relay"]

_READ = 64 << 10
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends a reset


class Relay:
    """Between clients and the server at ``target`` (``host:port``)."""

    def __init__(self, target: str, *, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self.delay_s = 0.0
        self.bytes_per_s: float | None = None
        self.is_refusing = False
        self.accepted = 0
        self.bytes_passed = 0
        self._tls = tls
        self._links: set[_Link] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._free_at = 0.0  # when the capped line has sent what it was given
        self._loop = asyncio.new_event_loop()
        self._passing = threading.Event()
        self._passing.set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        self.address = self._do(self._listen())

    # -- misbehaving ----------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Passes nothing on from now on; what comes is kept."""
        self._passing.clear()

    def release(self) -> None:
        """Passes on what was held and whatever comes."""
        self._passing.set()

    def cut(self) -> None:
        """Resets every connection, on both sides."""
        self._each(_Link.reset)

    def half_close(self) -> None:
        """Ends the server's side of every connection, as seen by the client, who may go on sending."""
        self._each(_Link.end_to_client)

    def say(self, data: bytes) -> None:
        """Sends bytes to every client that no server has sent."""
        self._each(lambda link: link.client.write(data))

    @property
    def open(self) -> int:
        """Connections at this moment."""
        return len(self._links)

    # -- life -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Takes no further connection and resets those there are."""
        self.cut()
        self.release()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Relay {self.address} to {self.target}, {self.open} connections>"

    # -- inside ---------------------------------------------------------------------------------------------------

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _each(self, act: "Callable[[_Link], None]") -> None:
        async def all_of_them() -> None:
            for link in list(self._links):
                act(link)

        self._do(all_of_them())

    async def _listen(self) -> str:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0, ssl=self._tls)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for client in self._clients:  # those that came while it ended, and have no link yet
            _reset(client)
        await asyncio.sleep(0)  # what is reset is closed in the loop's next turn

    def _meet(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        # A task of ours: asyncio.streams reports its own as failed when they are cancelled, as links are in the end.
        self._clients.add(client)
        tasks.start(self._accept(reader, client), "relay's link")

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.is_refusing:
            self._clients.discard(client)
            _reset(client)
            return
        host, _, port = self.target.rpartition(":")
        try:
            from_server, server = await asyncio.open_connection(host, int(port))
        except OSError:
            self._clients.discard(client)
            _reset(client)
            return
        link = _Link(client, server)
        self._links.add(link)
        ways = [
            tasks.start(self._pass_on(reader, server), "relay to the server"),
            tasks.start(self._pass_on(from_server, client), "relay to the client"),
        ]
        try:
            await asyncio.wait(ways)
        finally:
            for way in ways:
                way.cancel()
            self._clients.discard(client)
            self._links.discard(link)
            link.reset()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction: reads ahead, and sends each piece when its delay and the capped line allow."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)
        sender = tasks.start(self._send(pieces, writer), "relay's sender")
        loop = asyncio.get_running_loop()
        try:
            while True:
                data = await reader.read(_READ)
                await pieces.put((loop.time(), data))
                if not data:
                    await sender
                    return
        except OSError:
            return
        finally:
            sender.cancel()

    async def _send(self, pieces: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                came_at, data = await pieces.get()
                await asyncio.sleep(came_at + self.delay_s - loop.time())
                while not self._passing.is_set():  # noqa: ASYNC110 - set from another thread
                    await asyncio.sleep(0.005)
                if not data:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                if self.bytes_per_s:
                    self._free_at = max(self._free_at, loop.time()) + len(data) / self.bytes_per_s
                    await asyncio.sleep(self._free_at - loop.time())
                self.bytes_passed += len(data)
                writer.write(data)
                await writer.drain()
        except (OSError, RuntimeError):  # whoever is gone, of TLS too
            return


class _Link:
    """One connection, with its two sides."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server

    def reset(self) -> None:
        for writer in (self.client, self.server):
            _reset(writer)

    def end_to_client(self) -> None:
        self.client.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
