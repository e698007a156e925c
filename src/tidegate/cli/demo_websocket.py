"""The WebSocket side of the demo upstream (RFC 6455): says back what it hears."""

import asyncio
import base64
import hashlib
import struct

__all__ = ["accept_key", "echo_frames"]

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE, _PING, _PONG = 0x8, 0x9, 0xA
_LARGEST = 1 << 20


def accept_key(key: bytes) -> bytes:
    """What the server answers to ``Sec-WebSocket-Key``."""
    return base64.b64encode(hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest())


async def echo_frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends every frame back unmasked, answers pings, and returns after a close frame. EOFError when it is cut."""
    while True:
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", await reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", await reader.readexactly(8))
        if size > _LARGEST or not second & 0x80:
            return  # too large for a demo, or not masked as a client has to
        mask = await reader.readexactly(4)
        masked = await reader.readexactly(size)
        payload = bytes(byte ^ mask[at & 3] for at, byte in enumerate(masked))
        opcode = first & 0x0F
        if opcode == _PING:
            first = (first & 0xF0) | _PONG
        writer.write(_frame(first, payload))
        await writer.drain()
        if opcode == _CLOSE:
            return


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB", first, size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", first, 126, size)
    else:
        head = struct.pack(">BBQ", first, 127, size)
    return head + payload
