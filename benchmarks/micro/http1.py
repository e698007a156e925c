"""Heads and chunked bodies: our codec beside httptools (llhttp) and h11, the same bytes in the same run.

httptools and h11 hand Python objects to Python callers and ours writes offsets into a struct, so the distance is that
of the whole approach, not of two scanners.
"""

from collections.abc import Callable

import h11
import httptools

from tidegate.wire import view

Case = Callable[[int], None]

SMALL = b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
BROWSER = (
    b"GET /orders/4711?expand=items&page=2 HTTP/1.1\r\n"
    b"Host: shop.example.com\r\n"
    b"Connection: keep-alive\r\n"
    b'sec-ch-ua: "Chromium";v="128", "Not;A=Brand";v="24"\r\n'
    b"sec-ch-ua-mobile: ?0\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 "
    b"Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Sec-Fetch-Site: same-origin\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-Dest: document\r\n"
    b"Referer: https://shop.example.com/orders?page=1\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    b"Cookie: session=9f86d081884c7d659a2feaa0c55ad015; theme=dark\r\n\r\n"
)
MANY = b"POST /v1/events HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 512\r\n" + b"".join(
    b"X-Request-Property-%d: value of property number %d\r\n" % (n, n) for n in range(28)
)
MANY += b"\r\n"
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    b"Content-Type: application/json\r\n"
    b"Content-Length: 13\r\nConnection: keep-alive\r\nCache-Control: no-store\r\n\r\n"
)
CHUNK = b"x" * 16384
CHUNKED = b"4000\r\n" + CHUNK + b"\r\n"
CHUNKED = CHUNKED * 64 + b"0\r\n\r\n"
CHUNKED_SMALL = b"10\r\n0123456789abcdef\r\n" * 4096 + b"0\r\n\r\n"


def ours(run: Callable[[bytes, int], None], data: bytes) -> Case:
    return lambda times: run(data, times)


class Receiver:
    """What an application that wants the head has to give httptools."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.url = b""
        self.size = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.size += len(body)


def with_httptools(parser: type, data: bytes) -> Case:
    def case(times: int) -> None:
        for _ in range(times):
            parser(Receiver()).feed_data(data)

    return case


def with_h11(role: type, data: bytes, *, until: type) -> Case:
    def case(times: int) -> None:
        for _ in range(times):
            connection = h11.Connection(our_role=role)
            if role is h11.CLIENT:
                connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
            connection.receive_data(data)
            while not isinstance(connection.next_event(), until):
                pass

    return case


CHUNKED_REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED

CASES: dict[str, Case] = {}
for label, head in {"small": SMALL, "browser": BROWSER, "30 fields": MANY}.items():
    name = f"request head, {label}, {len(head)} B"
    CASES[name] = ours(view.parse_request_times, head)
    CASES[f"{name}: httptools"] = with_httptools(httptools.HttpRequestParser, head)
    CASES[f"{name}: h11"] = with_h11(h11.SERVER, head, until=h11.Request)
name = f"response head, {len(RESPONSE)} B"
CASES[name] = ours(view.parse_response_times, RESPONSE)
CASES[f"{name}: httptools"] = with_httptools(httptools.HttpResponseParser, RESPONSE)
CASES[f"{name}: h11"] = with_h11(h11.CLIENT, RESPONSE, until=h11.Response)
CASES["chunked body, 1 MiB in 16 KiB chunks"] = ours(view.feed_chunked_times, CHUNKED)
CASES["chunked body, 1 MiB in 16 KiB chunks: httptools"] = with_httptools(httptools.HttpRequestParser, CHUNKED_REQUEST)
CASES["chunked body, 1 MiB in 16 KiB chunks: h11"] = with_h11(h11.SERVER, CHUNKED_REQUEST, until=h11.EndOfMessage)
CASES["chunked body, 64 KiB in 16 B chunks"] = ours(view.feed_chunked_times, CHUNKED_SMALL)
CASES["canonical path, already so"] = ours(view.canonical_path_times, b"/orders/4711/items/12-a_b")
CASES["canonical path, to be made"] = ours(view.canonical_path_times, b"/orders/%34711//items/./12-a_b")
