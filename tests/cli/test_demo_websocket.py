import asyncio
import struct

import pytest

from tidegate.cli.demo_websocket import accept_key, echo_frames


def test_key_of_the_rfc():
    assert accept_key(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def masked(first, payload):
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB", first, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, size)
    return head + b"\1\2\3\4" + bytes(byte ^ (1 + (at & 3)) for at, byte in enumerate(payload))


class Writer:
    def __init__(self):
        self.written = b""

    def write(self, data):
        self.written += data

    async def drain(self):
        pass


def echoed(data):
    writer = Writer()

    async def run():
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        await echo_frames(reader, writer)

    asyncio.run(run())
    return writer.written


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_frames_come_back_unmasked(size):
    payload = b"t" * size
    close = masked(0x88, b"\x03\xe8")
    answer = echoed(masked(0x81, payload) + close)
    assert answer.endswith(b"\x88\x02\x03\xe8")
    assert answer[: -4 - size or None][0] == 0x81
    assert answer[:-4].endswith(payload)


def test_ping_is_answered_with_pong():
    assert echoed(masked(0x89, b"hi") + masked(0x88, b"")) == b"\x8a\x02hi\x88\x00"


def test_unmasked_or_huge_frames_end_it():
    assert echoed(b"\x81\x02hi") == b""
    assert echoed(struct.pack(">BBQ", 0x82, 0xFF, 1 << 40)) == b""


def test_a_cut_connection_is_an_eof():
    with pytest.raises(EOFError):
        echoed(masked(0x81, b"hello")[:-1])
