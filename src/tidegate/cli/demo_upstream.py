"""A small HTTP/1.1 server for `tidegate quickstart`: something behind the gateway that is worth asking.

It trusts its only client, the gateway, to send well-formed requests: no model for a server that faces anybody else.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from tidegate.cli.demo_websocket import accept_key, echo_frames

__all__ = ["main", "serve"]

_LARGEST_BODY = 64 << 20


@dataclass
class Request:
    """One request with its body."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    def number(self, name: str, default: int) -> int:
        """A whole number from the query, between 0 and 60,000."""
        text = self.query.get(name, [""])[0]
        return min(int(text), 60_000) if text.isascii() and text.isdigit() and len(text) < 10 else default


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, request after request."""
    # Whatever ends it, the gateway has gone or wants nothing more. Cancelled is how a connection ends with the server,
    # which asyncio.streams would report as a failure.
    with contextlib.suppress(EOFError, OSError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
        while (request := await _read(reader)) is not None:
            await _answer(request, reader, writer)
            await writer.drain()
            if request.headers.get("connection", "").lower() in ("close", "upgrade"):
                break
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers: dict[str, str] = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    parts = urlsplit(target)
    body = await _read_body(reader, headers)
    return Request(method, parts.path, parse_qs(parts.query), headers, body)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(min(int(headers.get("content-length", "0")), _LARGEST_BODY))
    body = b""
    while len(body) <= _LARGEST_BODY:
        size = int((await reader.readline()).split(b";")[0], 16)
        if size == 0:
            while await reader.readline() not in (b"\r\n", b""):
                pass
            break
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    return body


async def _answer(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    match request.path:
        case "/" | "/hello":
            _write(writer, request, b"Hello from behind the gate.\n")
        case "/slow":
            delay_ms = request.number("ms", 300)
            await asyncio.sleep(delay_ms / 1000)
            _write(writer, request, f"That took {delay_ms} ms.\n".encode())
        case "/headers":
            _write(writer, request, json.dumps(request.headers, indent=2).encode() + b"\n", "application/json")
        case "/echo":
            _write(writer, request, request.body, request.headers.get("content-type", "application/octet-stream"))
        case "/bytes":
            _write(writer, request, b"~" * (request.number("kb", 100) * 1024), "application/octet-stream")
        case "/stream":
            lines = (f"piece {index}\n".encode() for index in range(request.number("pieces", 5)))
            await _write_pieces(writer, request, list(lines), "text/plain; charset=utf-8")
        case "/events":
            events = (f"id: {index}\ndata: tide {index}\n\n".encode() for index in range(request.number("pieces", 5)))
            await _write_pieces(writer, request, list(events), "text/event-stream")
        case "/ws" if request.headers.get("upgrade", "").lower() == "websocket":
            key = accept_key(request.headers.get("sec-websocket-key", "").encode())
            head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            writer.write(head + b"Sec-WebSocket-Accept: " + key + b"\r\n\r\n")
            await echo_frames(reader, writer)
            request.headers["connection"] = "close"
        case _:
            _write(writer, request, b"There is nothing of that name here.\n", status="404 Not Found")


def _write(
    writer: asyncio.StreamWriter,
    request: Request,
    body: bytes,
    kind: str = "text/plain; charset=utf-8",
    status: str = "200 OK",
) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode("latin-1") + (b"" if request.method == "HEAD" else body))


async def _write_pieces(writer: asyncio.StreamWriter, request: Request, pieces: list[bytes], kind: str) -> None:
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    if request.method == "HEAD":
        return
    pause_s = request.number("ms", 200) / 1000
    for piece in pieces:
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
        await asyncio.sleep(pause_s)
    writer.write(b"0\r\n\r\n")


async def _run(listener: socket.socket) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    # Its connections are not waited for: they last as long as the gateway keeps them idle.
    await asyncio.start_server(serve, sock=listener)
    parent = os.getppid()
    while not ended.is_set() and os.getppid() == parent:  # an orphan would keep the port
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), 1.0)


def main() -> None:
    """Serves on the listening socket whose descriptor is the first argument, until told to end or left alone."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    listener.setblocking(False)
    asyncio.run(_run(listener))


if __name__ == "__main__":
    main()
