"""WebSockets of a load: frames as an independent library reads and writes them, and servers that break the rules."""

import base64
import contextlib
import hashlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bench.driving import PATIENCE_S, Drive, evenly
from tests.plane.serving import Serving
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.streams import StreamReader
from websockets.sync.server import serve
from websockets.utils import accept_key

from tidegate.bench.schedule import Schedule
from tidegate.bench.tally import Tally
from tidegate.bench.websocket import frame, opening

WHERE = (b"/chat", b"Host: server.test\r\n")


@given(st.binary(max_size=300) | st.integers(0, 70_000).map(bytes), st.booleans())
def test_a_frame_is_read_by_others_as_it_was_meant(payload, is_text):
    reader = StreamReader()
    reader.feed_data(frame(payload, is_text=is_text))
    reader.feed_eof()
    steps = Frame.parse(reader.read_exact, mask=True)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert (end.value.value.data, end.value.value.opcode, end.value.value.fin) == (payload, 1 if is_text else 2, True)


def test_the_opening_asks_as_rfc_6455_says():
    request, accept = opening(*WHERE)
    reader = StreamReader()
    reader.feed_data(request)
    steps = Request.parse(reader.read_line)
    with pytest.raises(StopIteration) as end:
        next(steps)
    fields = end.value.value.headers
    assert end.value.value.path == "/chat"
    assert (fields["Host"], fields["Upgrade"], fields["Sec-WebSocket-Version"]) == ("server.test", "websocket", "13")
    assert len(base64.b64decode(fields["Sec-WebSocket-Key"])) == 16
    assert accept.decode() == accept_key(fields["Sec-WebSocket-Key"])


@contextlib.contextmanager
def echo_server():
    def echo(socket):
        with contextlib.suppress(ConnectionClosed):
            for message in socket:
                socket.ping(b"are you there")
                socket.send(message)
        codes.append(socket.close_code)

    codes = []
    with serve(echo, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.socket.getsockname()[1]}", codes
        server.shutdown()


def test_echoes_of_an_independent_server_are_answers():
    texts = [frame(b"tide"), frame(b"x" * 300), frame(b"y" * 70_000, is_text=False)]
    with echo_server() as (address, codes):
        drive = Drive(address, texts, schedule=evenly(100, 0.3), clients=3, websocket=WHERE)
    assert drive.opened == (3, 0)
    assert (drive.answers, drive.errors, drive.tally.lost) == ({101: 30}, {}, 0)
    assert codes == [1000, 1000, 1000]


def test_closed_loop_of_echoes():
    with echo_server() as (address, _):
        drive = Drive(address, [frame(b"tide")], clients=2, seconds=0.2, websocket=WHERE)
    assert drive.answers[101] == drive.tally.sent > 0


def scripted(*pieces, times=2, open_with=None):
    """A server that accepts each WebSocket and answers each message with these bytes."""

    def handle(peer, line, fields, body):
        key = dict(fields)["Sec-WebSocket-Key"]
        accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest())
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        peer.send(open_with or head + b"sec-websocket-accept: " + accept + b"\r\n\r\n")
        while not open_with:
            first, size = peer.exactly(2)
            peer.exactly((size & 0x7F) + 4)
            if first == 0x88:
                return True
            if first == 0x81:
                for piece in pieces:
                    peer.send(piece)
        return True

    with Serving(handle) as server:
        return Drive(server.address, [frame(b"tide")], schedule=evenly(1000, times / 1000), websocket=WHERE)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"\x81\x02ok"],
        [b"\x81\x00"],
        [b"\x89\x02hi\x8a\x00\x82\x01x"],
        [b"\x01\x01a\x89\x00\x00\x00\x80\x01b"],
        [bytes([one]) for one in b"\x89\x03abc\x81\x7e\x00\x80" + b"z" * 128],
        [b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", b"z" * 65536],
    ],
)
def test_the_next_whole_message_is_the_answer(pieces):
    drive = scripted(*pieces)
    assert (drive.answers, drive.errors) == ({101: 2}, {})


@pytest.mark.parametrize(
    ("piece", "kind"),
    [
        (b"\xc1\x02ok", "http_protocol_error"),  # an extension that was not agreed on
        (b"\x81\x82\x00\x00\x00\x00ok", "http_protocol_error"),  # masked, as only clients do
        (b"\x09\x00", "http_protocol_error"),  # a ping in fragments
        (b"\x89\x7e\x00\x80", "http_protocol_error"),  # a ping that is too long
        (b"\x88\x02\x03\xe8", "connection_terminated"),
    ],
)
def test_frames_that_break_the_rules_or_end_it_are_errors(piece, kind):
    drive = scripted(piece)
    assert (drive.answers, drive.errors) == ({}, {kind: 2})


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: other\r\n\r\n",
    ],
)
def test_a_server_that_opens_none_is_an_error_of_that_kind(answer):
    drive = scripted(times=1, open_with=answer)
    assert drive.opened == (0, 1)
    assert set(drive.errors) == {"http_upgrade_failed"}


def test_a_server_that_closes_while_nothing_is_asked_is_no_error():
    tally = Tally()

    def handle(peer, line, fields, body):
        key = dict(fields)["Sec-WebSocket-Key"]
        head = "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n"
        peer.send(head.format(accept_key(key)).encode())
        peer.send(b"\x81\x04push\x88\x00")
        return peer.is_closed()

    with Serving(handle) as server:
        schedule = Schedule([(PATIENCE_S, 0, 0)])
        stop = lambda: bool(tally.lost)  # noqa: E731
        drive = Drive(server.address, [frame(b"")], schedule, websocket=WHERE, tally=tally, is_to_stop=stop)
    assert (drive.opened, tally.lost, drive.errors) == ((1, 0), 1, {})
