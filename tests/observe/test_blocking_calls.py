"""Calls that block, made on a loop and beside it, in a process of its own: what listens there stays for good."""

import json
import subprocess
import sys
import textwrap

import pytest

HEAD = """
import asyncio, json, socket, ssl, sqlite3, subprocess, sys, threading, time, http.client, http.server, urllib.request
from tidegate.observe import blocking_calls

clock = [0.0]
def say(kind, message, level="warning", **fields):
    print(json.dumps({"kind": kind, "message": message, **fields}), flush=True)
def later():
    clock[0] += 2
    return clock[0]
from time import sleep
calls = blocking_calls.BlockingCalls(say, {"f": "__main__"}, clock=later)
calls.install()
"""


def said(code, *, body="async def main():"):
    """What is said while ``code`` runs on a loop; the line of its own file that is named is the one with "# here"."""
    script = HEAD + body + "\n" + textwrap.indent(textwrap.dedent(code), "    ") + "\nasyncio.run(main())\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = script.splitlines()
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for one in found:
        assert "# here" in lines[one["line"] - 1], one
        assert (one["kind"], one["filter"]) == ("blocking_call", "f")
    return [one["call"] for one in found]


@pytest.mark.parametrize(
    ("code", "calls"),
    [
        ("time.sleep(0.001)  # here", ["time.sleep"]),
        ("sleep(0.001)  # here", ["time.sleep"]),
        ("socket.getaddrinfo('localhost', 80)  # here", ["socket.getaddrinfo"]),
        ("sqlite3.connect(':memory:').close()  # here", ["sqlite3.connect"]),
        ("subprocess.run(['true'])  # here", ["subprocess.Popen"]),
        (
            """
            with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as one:
                one.connect(server.getsockname())  # here
                other = server.accept()[0]  # here
                with other:
                    one.sendall(b"x")  # here
                    other.recv(1)  # here
            """,
            ["socket.connect", "socket.accept", "socket.sendall", "socket.recv"],
        ),
    ],
)
def test_call_that_blocks_is_named_with_its_line(code, calls):
    assert said(code) == calls


def test_library_is_seen_through_to_the_line_that_called_it():
    calls = said("""
        server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)  # here
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        one = http.client.HTTPConnection("127.0.0.1", server.server_port)
        one.request("OPTIONS", "/")  # here
        one.getresponse().read()  # here
        one.close()
        await asyncio.to_thread(thread.join)
        server.server_close()
    """)
    assert calls[:3] == ["socket.gethostbyaddr", "http.client.connect", "socket.connect"]
    assert {"http.client.send", "socket.sendall", "socket.recv_into"} <= set(calls)


def test_place_is_said_once():
    assert said("for _ in range(5): time.sleep(0.001)  # here") == ["time.sleep"]


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(0)",
        "await asyncio.to_thread(time.sleep, 0.001)",
        "await asyncio.get_running_loop().getaddrinfo('localhost', 80)",
        "socket.getaddrinfo('127.0.0.1', 80)",
        "open('/dev/null').close()",
        """
        one, other = socket.socketpair()
        one.setblocking(False); other.setblocking(False)
        one.send(b"x"); other.recv(1); one.close(); other.close()
        """,
        "calls.is_on = False\ntime.sleep(0.001)",
    ],
)
def test_call_that_keeps_nobody_waiting_is_not_named(code):
    assert said(code) == []


def test_without_a_loop_nothing_is_named():
    assert said("time.sleep(0.001)\nasync def main(): pass", body="if True:") == []
