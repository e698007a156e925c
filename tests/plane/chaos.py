"""Clients and servers that do everything wrong, and notice when they get what is somebody else's.

Every request carries a token of its own. The server answers with that token in the head and a body made of it, and
compares the body that came; the client compares head and body of what it gets. So a reply, or a body, that reaches
anybody else is found by whoever gets it, in whatever order things happen.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import random
import socket
import ssl
import struct
from collections import Counter
from typing import Any

from tidegate.process import tasks

__all__ = ["ChaosClients", "ChaosServer", "pattern"]

MOODS = {
    "/plain": [""],
    "/tiny": [""],
    "/elsewhere": [""],
    "/sticky": [""],
    "/secret": [""],
    "/local": [""],
    "/sync": ["", "", "raise-request", "answer-request", "raise-response", "answer-response", "raise-finish"],
    "/async": [
        "", "sleep-request", "sleep-response", "hang-request", "deaf-request", "hang-response", "raise-request",
        "raise-response", "answer-request", "answer-response",
    ],
    "/mixed": ["", "", "sleep-request", "sleep-response", "raise-body", "raise-piece", "answer-response"],
    "/fixed": [""],
    "/away": [""],
}  # fmt: skip

# What the server may be asked to do; by weight, since most traffic is ordinary.
PLANS = [
    *["length"] * 8, *["chunked"] * 6, *["until-close"] * 3, "huge", "empty", "304", "interim", "large",
    "large-chunked",
    "slow-pieces", "late", "early", "early-then-close", "close-at-once", "reset-at-once", "close-midway",
    "reset-midway",
    "garbage", "half-a-head", "bad-chunk", "two-answers", "connection-close", "close-when-idle", "never", "large-head",
    "switch", "http10",
]  # fmt: skip

BAD_HEADS = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    b"GET /%2f../x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    b"GET / HTTP/3.7\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)),
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40000 + b"\r\n\r\n",
    b"GET /" + b"y" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]

SILENCE_S = 60  # only what hangs waits for so long


def pattern(token: str, size: int) -> bytes:
    """A body of ``size`` bytes that belongs to ``token`` wherever one looks into it."""
    piece = f"<{token}>".encode()
    return (piece * (size // len(piece) + 1))[:size]


def reset_on_close(writer: asyncio.StreamWriter) -> None:
    """The end of this connection will be a reset."""
    sock = writer.get_extra_info("socket")
    if sock is None:  # it has ended already
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def nap(rng: random.Random) -> None:
    """Lets others in; now and then for a few milliseconds."""
    await asyncio.sleep(rng.choice([0, 0, 0, 0.001, 0.003]))


class Broken(Exception):
    """The other side ended in the middle of something."""


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """First line and fields, names in lower case."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        raise Broken(bool(error.partial)) from None
    first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
    return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def read_chunked(reader: asyncio.StreamReader, rng: random.Random, pace: float) -> tuple[bytes, bool]:
    """The body, and whether it came whole."""
    body = b""
    try:
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size == 0:
                await reader.readuntil(b"\r\n")
                return body, True
            body += await reader.readexactly(size)
            await reader.readexactly(2)
            if rng.random() < pace:
                await nap(rng)
    except (asyncio.IncompleteReadError, ConnectionError):
        return body, False


class ChaosServer:
    """An upstream that does as the request's ``X-Plan`` says."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.wrongs: list[str] = []
        self.done: Counter[str] = Counter()
        self.stale = 0
        self.unclear: set[str] = set()

    async def start(self, path: str, tls: ssl.SSLContext) -> tuple[int, int]:
        """Listens on two ports, which it returns (the second is behind TLS), and at ``path`` with a short queue."""
        plain = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096, limit=1 << 20)
        secret = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096, limit=1 << 20, ssl=tls)
        local = await asyncio.start_unix_server(self._serve, path, backlog=2, limit=1 << 20)
        self.servers = [plain, secret, local]
        return plain.sockets[0].getsockname()[1], secret.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stops listening."""
        for server in self.servers:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rng = random.Random(self.rng.random())
        try:
            while await self._exchange(reader, writer, rng):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, Broken):
            pass  # cancelled at the very end only: asyncio.streams logs a handler that says so
        except Exception as error:  # noqa: BLE001 - a server that breaks by itself proves nothing
            self.wrongs.append(f"server: {error!r}")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _body(self, reader: asyncio.StreamReader, fields: dict[str, str], rng: random.Random) -> bytes:
        if fields.get("transfer-encoding") == "chunked":
            body, is_whole = await read_chunked(reader, rng, 0.1)
            if not is_whole:
                raise Broken
            return body
        return await reader.readexactly(int(fields.get("content-length", "0")))

    def _check_request(self, fields: dict[str, str], body: bytes) -> None:
        token = fields["x-token"]
        if body != pattern(token, int(fields["x-body-size"])):
            self.wrongs.append(f"server: the body of {token} is {len(body)} bytes: {body[:80]!r}")
        if fields.get("x-filter-token", token) != token:
            self.wrongs.append(f"server: {token} came with the filter's mark of {fields['x-filter-token']}")

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rng: random.Random) -> bool:
        line, fields = await read_head(reader)
        if "x-token" not in fields or "x-plan" not in fields:
            self.wrongs.append(f"server: a request nobody sent: {line!r} {fields!r}")
            return False
        token, plan, method = fields["x-token"], fields["x-plan"], line.split(" ")[0]
        self.done[plan] += 1
        if fields.get("upgrade", "").lower() == "websocket":
            return await self._tunnel(reader, writer, rng, token)
        if plan in {"close-at-once", "reset-at-once"}:
            if plan == "reset-at-once":
                reset_on_close(writer)
            return False
        if plan.startswith("early"):
            writer.write(self._answer(token, method, "length", 50))
            if plan == "early-then-close":
                await writer.drain()
                return False
            self._check_request(fields, await self._body(reader, fields, rng))
            return True
        self._check_request(fields, await self._body(reader, fields, rng))
        if plan == "late" or rng.random() < 0.1:
            await asyncio.sleep(rng.uniform(0, 0.03))
        if plan == "never":
            await reader.read(1)
            return False
        if plan == "two-answers":
            writer.write(self._answer(token, method, "length", 10))
            await writer.drain()
            await nap(rng)
            await self._speak_out_of_turn(reader, writer, rng)
            return False
        return await self._respond(writer, rng, token, plan, method)

    def _answer(self, token: str, method: str, framing: str, size: int, extra: str = "") -> bytes:
        head = f"HTTP/1.1 200 OK\r\nX-Token: {token}\r\nX-Size: {size}\r\n{extra}"
        body = b"" if method == "HEAD" else pattern(token, size)
        if framing == "length":
            return f"{head}Content-Length: {size}\r\n\r\n".encode() + body
        if framing == "close":
            return f"{head}X-Ends: anywhere\r\nConnection: close\r\n\r\n".encode() + body
        pieces = [body[i : i + 1000] for i in range(0, len(body), 1000)]
        chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        end = b"" if method == "HEAD" else b"0\r\nX-Trailer: 1\r\n\r\n"
        return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + end

    async def _respond(
        self, writer: asyncio.StreamWriter, rng: random.Random, token: str, plan: str, method: str
    ) -> bool:
        size = rng.choice([0, 1, 10, 100, 3000, 20000])
        answer = self._answer(token, method, "length", size)
        again = True
        if plan in ("chunked", "bad-chunk"):
            answer = self._answer(token, method, "chunked", size)
            if plan == "bad-chunk" and method != "HEAD":
                answer = self._answer(token, method, "chunked", 0)[:-18] + b"zz\r\n"
                again = False
        elif plan == "until-close":
            answer = self._answer(token, method, "close", size)
            again = False
        elif plan == "http10":
            answer = self._answer(token, method, "close", size).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
            again = False
        elif plan in ("204", "304"):
            answer = f"HTTP/1.1 {plan} X\r\nX-Token: {token}\r\nX-Size: 0\r\n\r\n".encode()
        elif plan == "empty":
            answer = self._answer(token, method, "length", 0)
        elif plan == "interim":
            answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer
        elif plan in ("large", "large-chunked"):
            answer = self._answer(token, method, "chunked" if "chunked" in plan else "length", 700_000)
        elif plan == "huge":
            answer = self._answer(token, method, "length", 1_500_000)
        elif plan == "large-head":
            answer = self._answer(token, method, "length", size, "".join(f"X-{i}: {'v' * 500}\r\n" for i in range(100)))
        elif plan == "garbage":
            answer = rng.choice([b"hello?\r\n\r\n", b"HTTP/1.1 2000 X\r\n\r\n", b"\0" * 100 + b"\r\n", os.urandom(300)])
            again = False
        elif plan == "half-a-head":
            answer = answer[: answer.index(b"\r\n\r\n")]
            again = False
        elif plan == "switch":
            answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
            again = False
        elif plan == "connection-close":
            answer = self._answer(token, method, "length", size, "Connection: close\r\n")
            again = False
        elif plan == "close-when-idle":
            again = False
        if plan in ("close-midway", "reset-midway"):
            answer = self._answer(token, "GET", rng.choice(["length", "chunked", "close"]), 5000)
            writer.write(answer[: rng.randrange(1, len(answer))])
            if plan == "close-midway":
                await writer.drain()
            else:
                await nap(rng)
                reset_on_close(writer)
            return False
        if plan == "slow-pieces" or rng.random() < 0.2:
            while answer:
                cut = rng.randrange(1, max(2, len(answer) // 3))
                writer.write(answer[:cut])
                await writer.drain()
                await nap(rng)
                answer = answer[cut:]
        else:
            writer.write(answer)
            await writer.drain()
        if plan == "close-when-idle":
            await asyncio.sleep(rng.uniform(0, 0.01))
        return again

    async def _speak_out_of_turn(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rng: random.Random
    ) -> None:
        """Writes an answer while the connection rests, and stays for a while.

        HTTP/1.1 has no numbers: nobody can tell it from the answer to a request whose connection was handed out before
        it came, however late that request is sent on a busy machine. So one that a request met is noted as unclear;
        what can be told apart, `test_upstream_crossed` tells apart.
        """
        sock = writer.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:  # it has ended already
            return
        raw = socket.socket(fileno=os.dup(sock.fileno()))
        try:
            if self._has_come(reader, raw):
                return
            self.stale += 1
            token = f"stale-{self.stale}"
            writer.write(self._answer(token, "GET", "length", 10))
            # The gateway's thread may have to wait for this one between its look and its request.
            await asyncio.sleep(0.1 + rng.uniform(0, 0.02))
            if self._has_come(reader, raw) or writer.transport.get_write_buffer_size():
                self.unclear.add(token)
        finally:
            raw.close()

    def _has_come(self, reader: asyncio.StreamReader, raw: socket.socket) -> bool:
        """Whether a byte of another request is here, or may have been."""
        try:
            return bool(reader._buffer or raw.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))  # type: ignore[attr-defined]
        except BlockingIOError:
            return False
        except OSError:
            return True

    async def _tunnel(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rng: random.Random, token: str
    ) -> bool:
        writer.write(
            f"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\nX-Token: {token}\r\n\r\n".encode()
        )
        for _ in range(rng.choice([0, 1, 5, 100])):
            data = await reader.read(rng.choice([1, 100, 65536]))
            if not data:
                break
            writer.write(data)
            await writer.drain()
        if rng.random() < 0.2:
            reset_on_close(writer)
        return False


class ChaosClients:
    """Clients of the gateway on ``port``; ``tls`` is how they speak TLS, if they do."""

    def __init__(self, port: int, seed: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self.tls = tls
        self.seed = seed
        self.wrongs: list[str] = []
        self.done: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self._serial = 0

    async def run(self, clients: int, seconds: float) -> None:
        """``clients`` at once, each one connection after another."""
        end = asyncio.get_running_loop().time() + seconds
        await asyncio.gather(*(self._live(random.Random(f"{self.seed}/{i}"), end) for i in range(clients)))

    async def _live(self, rng: random.Random, end: float) -> None:
        while asyncio.get_running_loop().time() < end:
            try:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1",
                    self.port,
                    limit=1 << 21,
                    ssl=self.tls,
                    server_hostname="gateway.test" if self.tls else None,
                )
            except OSError as error:
                self.wrongs.append(f"client: cannot connect: {error}")
                return
            try:
                await asyncio.wait_for(self._connection(reader, writer, rng), SILENCE_S)
            except (ConnectionError, Broken):
                self.done["broken"] += 1
            except ValueError as error:
                self.wrongs.append(f"client: not HTTP: {error}")
            except TimeoutError:
                self.wrongs.append(f"client: nothing happened for {SILENCE_S} s")
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rng: random.Random) -> None:
        kind = rng.choice(["ordinary"] * 6 + ["pipelined"] * 3 + ["bad", "cut", "upgrade", "silent", "half-closed"])
        self.done[kind] += 1
        if kind == "bad":
            await self._send(writer, rng, rng.choice(BAD_HEADS))
            await reader.read()
        elif kind == "silent":
            await nap(rng)
        elif kind == "upgrade":
            await self._upgrade(reader, writer, rng)
        elif kind == "cut":
            raw = b"".join(self._request(rng)[0] for _ in range(rng.choice([1, 1, 3])))
            await self._send(writer, rng, raw[: rng.randrange(len(raw))])
            await asyncio.sleep(rng.choice([0, 0.001, 0.02]))
            if rng.random() < 0.5:
                reset_on_close(writer)
        elif kind == "pipelined":
            requests = [self._request(rng) for _ in range(rng.randrange(2, 12))]
            sending = tasks.start(self._send(writer, rng, b"".join(raw for raw, _ in requests)), "sending")
            try:
                for _, want in requests:
                    if not await self._answer(reader, rng, want):
                        break
            finally:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await sending
        elif kind == "half-closed":
            raw, want = self._request(rng)
            await self._send(writer, rng, raw)
            if writer.can_write_eof():
                with contextlib.suppress(OSError):  # reset before this, which the next read finds
                    writer.write_eof()
            await self._answer(reader, rng, want)
        else:
            for _ in range(rng.randrange(1, 6)):
                raw, want = self._request(rng)
                if want["expects"]:
                    head, body = raw.split(b"\r\n\r\n", 1)
                    await self._send(writer, rng, head + b"\r\n\r\n")
                    await nap(rng)
                    raw = body
                sending = tasks.start(self._send(writer, rng, raw), "sending")
                try:
                    if rng.random() < 0.08:
                        await asyncio.sleep(rng.choice([0, 0.001, 0.01]))
                        reset_on_close(writer)
                        return
                    if not await self._answer(reader, rng, want):
                        return
                finally:
                    sending.cancel()
                    with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                        await sending

    def _request(self, rng: random.Random) -> tuple[bytes, dict[str, Any]]:
        self._serial += 1
        token = f"{self._serial:x}-{rng.getrandbits(24):06x}"
        route = rng.choice(list(MOODS))
        plan = rng.choice(PLANS)
        method = rng.choice(["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE"])
        size = 0 if method in ("GET", "HEAD") else rng.choice([0, 1, 50, 5000, 5000, 200_000, 1_100_000])
        body = pattern(token, size)
        expects = bool(size) and rng.random() < 0.1
        version = "1.0" if rng.random() < 0.05 else "1.1"
        lines = [
            f"{method} {route}/{rng.choice(['', 'a', 'b/../c', '%41', '//d'])}?t={token} HTTP/{version}",
            "Host: gateway.test",
            f"X-Token: {token}",
            f"X-Plan: {plan}",
            f"X-Mood: {rng.choice(MOODS[route])}",
            f"X-Body-Size: {size}",
            *[f"X-Pad-{i}: {'p' * rng.randrange(200)}" for i in range(rng.choice([0, 0, 1, 20]))],
        ]
        if expects and version == "1.1":
            lines.append("Expect: 100-continue")
        if method not in ("GET", "HEAD") and version == "1.1" and rng.random() < 0.5:
            lines.append("Transfer-Encoding: chunked")
            raw = b""
            while body:
                cut = rng.randrange(1, len(body) + 1)
                raw += b"%x%b\r\n%b\r\n" % (cut, rng.choice([b"", b";x", b';x="y"']), body[:cut])
                body = body[cut:]
            body = raw + b"0\r\n" + rng.choice([b"", b"X-Trailer: a\r\n"]) + b"\r\n"
        elif size or method not in ("GET", "HEAD"):
            lines.append(f"Content-Length: {size}")
        raw = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        return raw, {"token": token, "method": method, "route": route, "plan": plan, "expects": expects}

    async def _send(self, writer: asyncio.StreamWriter, rng: random.Random, data: bytes) -> None:
        try:
            if rng.random() < 0.6:
                writer.write(data)
                await writer.drain()
                return
            while data:
                cut = rng.randrange(1, max(2, len(data) // rng.choice([1, 2, 5]) + 1))
                writer.write(data[:cut])
                await writer.drain()
                await nap(rng)
                data = data[cut:]
        except ConnectionError:
            pass  # the gateway has answered and closed; the answer says why

    def _wrong(self, want: dict[str, Any], text: str) -> None:
        self.wrongs.append(f"client: {want['token']} ({want['method']} {want['route']}, {want['plan']}): {text}")

    async def _answer(self, reader: asyncio.StreamReader, rng: random.Random, want: dict[str, Any]) -> bool:
        """Reads one answer; whether another may follow it."""
        token = want["token"]
        while True:
            line, fields = await read_head(reader)
            if not line.startswith("HTTP/1.1 "):
                self._wrong(want, f"not the beginning of an answer: {line[:100]!r}")
                return False
            status = int(line.split(" ")[1])
            if status >= 200:
                break
        self.statuses[status] += 1
        for name in ("x-token", "x-store-token", "x-answered"):
            if fields.get(name, "") not in ("", token):
                self._wrong(want, f"{name} is {fields[name]}")
        body, is_whole, ends = b"", True, False
        if want["method"] != "HEAD" and status not in (204, 304):
            if fields.get("transfer-encoding") == "chunked":
                try:
                    body, is_whole = await read_chunked(reader, rng, 0.02)
                except ValueError as error:
                    self._wrong(want, f"{error} after {line} {fields}")
                    return False
            elif "content-length" in fields:
                size = int(fields["content-length"])
                while len(body) < size:
                    piece = await reader.read(min(size - len(body), rng.choice([1000, 65536, 1 << 20])))
                    if not piece:
                        is_whole = False
                        break
                    body += piece
                    if rng.random() < 0.02:
                        await nap(rng)
            else:
                body = await reader.read()
                ends = True
        self._check(want, status, fields, body, is_whole)
        return is_whole and not ends and fields.get("connection", "") != "close"

    def _check(self, want: dict[str, Any], status: int, fields: dict[str, str], body: bytes, is_whole: bool) -> None:
        token = want["token"]
        if "date" in fields and fields["date"].count("GMT") > 1:
            self._wrong(want, f"dates {fields['date']}")
        if "x-answered" in fields:
            if want["method"] != "HEAD" and body != f"answered {token}".encode():
                self._wrong(want, f"a filter's answer is {body[:100]!r}")
        elif "x-token" in fields:
            if status not in (200, 204, 304):
                self._wrong(want, f"the upstream's answer has status {status}")
            size = int(fields["x-size"])
            full = b"" if want["method"] == "HEAD" or status != 200 else pattern(token, size)
            # Of a body that ends with its connection nobody can tell whether it is whole.
            if (is_whole and body != full and "x-ends" not in fields) or not full.startswith(body):
                self._wrong(want, f"body of {len(body)} bytes instead of {len(full)}: {body[:60]!r} ... {body[-60:]!r}")
        elif fields.get("content-type", "").startswith("application/problem+json"):
            if want["method"] != "HEAD" and (not is_whole or json.loads(body)["status"] != status):
                self._wrong(want, f"half a problem: {body!r}")
        elif want["route"] == "/fixed":
            if status != 200 or (want["method"] != "HEAD" and body != b"fixed"):
                self._wrong(want, f"fixed answer {status} {body[:100]!r}")
        elif want["route"] == "/away":
            if status != 308 or not fields["location"].endswith(f"?t={token}"):
                self._wrong(want, f"redirected {status} {fields.get('location')}")
        else:
            self._wrong(want, f"whose answer is this? {status} {fields} {body[:100]!r}")

    async def _upgrade(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rng: random.Random) -> None:
        self._serial += 1
        token = f"{self._serial:x}-{rng.getrandbits(24):06x}"
        want = {"token": token, "method": "GET", "route": "/plain", "plan": "upgrade"}
        key = base64.b64encode(rng.randbytes(16)).decode()
        data = pattern(token, rng.choice([0, 10, 5000, 300_000]))
        head = (
            f"GET /{rng.choice(['plain', 'sync', 'mixed'])}/ws HTTP/1.1\r\nHost: gateway.test\r\nX-Token: {token}\r\n"
            f"X-Plan: upgrade\r\nX-Body-Size: 0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        )
        hasty = rng.random() < 0.3
        await self._send(writer, rng, head.encode() + (data[:5] if hasty else b""))
        line, fields = await read_head(reader)
        if line.split(" ")[1] != "101":
            self.statuses[int(line.split(" ")[1])] += 1
            return
        self.statuses[101] += 1
        if fields.get("x-token") != token:
            self._wrong(want, f"switched for {fields.get('x-token')}")
        sending = tasks.start(self._send(writer, rng, data[5:] if hasty else data), "sending")
        back = b""
        try:
            while len(back) < len(data) and (piece := await reader.read(65536)):
                back += piece
                if rng.random() < 0.03:
                    reset_on_close(writer)
                    return
            if not data.startswith(back):
                self._wrong(want, f"the tunnel echoes {back[:100]!r}")
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await sending
