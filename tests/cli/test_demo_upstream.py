"""The demo server itself, without a gateway in front."""

import http.client
import json
import select
import signal
import socket
import subprocess
import sys
import time

import pytest
from websockets.sync.client import connect


@pytest.fixture(scope="module")
def demo():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "tidegate.cli.demo_upstream", str(listener.fileno())], pass_fds=[listener.fileno()]
        )
    yield port
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def ask(port, target, method="GET", body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()
    finally:
        connection.close()


def test_plain_answers(demo):
    assert ask(demo, "/hello") == (200, "text/plain; charset=utf-8", b"Hello from behind the gate.\n")
    assert ask(demo, "/hello", "HEAD")[2] == b""
    assert ask(demo, "/nothing")[0] == 404
    assert len(ask(demo, "/bytes?kb=3")[2]) == 3072


def test_echo_returns_body_and_type(demo):
    headers = {"Content-Type": "text/x-tide"}
    assert ask(demo, "/echo", "POST", b"in and out", headers) == (200, "text/x-tide", b"in and out")
    assert ask(demo, "/echo", "POST", iter([b"in ", b"pieces"]), headers) == (200, "text/x-tide", b"in pieces")
    assert ask(demo, "/hello")[0] == 200


def test_headers_are_shown(demo):
    assert json.loads(ask(demo, "/headers", headers={"X-Tide": "high"})[2])["x-tide"] == "high"


def test_slow_takes_its_time(demo):
    began = time.monotonic()
    assert ask(demo, "/slow?ms=150")[2] == b"That took 150 ms.\n"
    assert time.monotonic() - began >= 0.15
    assert ask(demo, "/slow?ms=0")[0] == 200


def test_streams_come_in_pieces(demo):
    assert ask(demo, "/stream?pieces=3&ms=1")[2] == b"piece 0\npiece 1\npiece 2\n"
    _, kind, body = ask(demo, "/events?pieces=2&ms=1")
    assert kind == "text/event-stream"
    assert body == b"id: 0\ndata: tide 0\n\nid: 1\ndata: tide 1\n\n"


def test_first_piece_is_sent_before_the_last_is_made(demo):
    with socket.create_connection(("127.0.0.1", demo), timeout=60) as one:
        one.sendall(b"GET /stream?pieces=2&ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while b"piece 0" not in received:
            assert select.select([one], [], [], 10)[0]
            received += one.recv(4096)
        assert b"piece 1" not in received


def test_connection_is_kept(demo):
    with socket.create_connection(("127.0.0.1", demo), timeout=60) as one:
        for _ in range(3):
            one.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            assert one.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_websocket_echoes(demo):
    with connect(f"ws://127.0.0.1:{demo}/ws") as one:
        one.send("high tide")
        assert one.recv(timeout=60) == "high tide"
        one.send(b"\0" * 70_000)
        assert one.recv(timeout=60) == b"\0" * 70_000
