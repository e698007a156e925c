"""One message through our codec, h11 and httptools, told in the same words."""

from collections.abc import Callable
from dataclasses import dataclass

import h11
import httptools

from tidegate.wire.view import ChunkedParser, RefusalError, RequestParser, ResponseParser

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Message:
    """What a parser made of one whole message; ``start`` is method and target, or the status."""

    start: tuple[bytes, ...]
    version: bytes
    fields: Fields
    body: bytes
    body_less: bool = False  # nothing after the head was looked at: to HEAD, 1xx, 204, 304


@dataclass(frozen=True)
class Refused:
    """The parser's own words, or the name of our refusal."""

    why: str


@dataclass(frozen=True)
class Unfinished:
    """More bytes are wanted."""


Outcome = Message | Refused | Unfinished


def normal(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return name.lower(), value.strip(b" \t")


# --- ours


def body_of(framing: str, length: int, rest: bytes) -> tuple[bytes, int] | None:
    """The body and how many bytes it took; None when it is not all there."""
    if framing == "chunked":
        parser = ChunkedParser()
        body = parser.feed(rest)
        return (body, len(rest) - len(parser.rest)) if parser.done else None
    if framing == "length":
        return (rest[:length], length) if len(rest) >= length else None
    if framing == "close":
        return rest, len(rest)
    return b"", 0


def ours_request(data: bytes) -> tuple[Outcome, int]:
    """What we say, and how many bytes the message took."""
    try:
        parser = RequestParser()
        seen = parser.feed(data)
        found = body_of(seen["framing"], seen["length"], parser.rest) if seen else None
    except RefusalError as refusal:
        return Refused(refusal.name), 0
    if not seen or found is None:
        return Unfinished(), 0
    fields = tuple(normal(name, value) for name, value, _, _ in seen["fields"])
    version = b"1.%d" % seen["minor"]
    return Message((seen["method"], seen["target"]), version, fields, found[0]), seen["size"] + found[1]


def ours_response(data: bytes, *, to_head: bool) -> tuple[Outcome, int]:
    try:
        parser = ResponseParser(to_head=to_head)
        seen = parser.feed(data)
        found = body_of(seen["framing"], seen["length"], parser.rest) if seen else None
    except RefusalError as refusal:
        return Refused(refusal.name), 0
    if not seen or found is None:
        return Unfinished(), 0
    fields = tuple(normal(name, value) for name, value, _, _ in seen["fields"])
    body_less = seen["framing"] in {"none", "tunnel"}
    start = (b"%d" % seen["status"],)
    message = Message(start, b"1.%d" % seen["minor"], fields, found[0], body_less)
    return message, seen["size"] + found[1]


# --- h11


def with_h11(data: bytes, connection: h11.Connection, *, close: bool) -> Outcome:
    head: h11.Request | h11.Response | h11.InformationalResponse | None = None
    body = b""
    ended = False
    try:
        connection.receive_data(data)
        if close:
            connection.receive_data(b"")
        while not ended:
            event = connection.next_event()
            if isinstance(event, h11.Request | h11.Response | h11.InformationalResponse):
                head = event
                ended = isinstance(event, h11.InformationalResponse)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                ended = True
            else:
                return Unfinished()
    except h11.RemoteProtocolError as error:
        return Refused(str(error))
    assert head is not None
    fields = tuple(normal(bytes(name), bytes(value)) for name, value in head.headers)
    if isinstance(head, h11.Request):
        return Message((bytes(head.method), bytes(head.target)), bytes(head.http_version), fields, body)
    return Message((b"%d" % head.status_code,), bytes(head.http_version), fields, body)


def h11_request(data: bytes) -> Outcome:
    return with_h11(data, h11.Connection(h11.SERVER), close=False)


def h11_response(data: bytes, *, to_head: bool, close: bool) -> Outcome:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="HEAD" if to_head else "GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    return with_h11(data, connection, close=close)


# --- llhttp behind httptools


class Receiver:
    """Collects the first message only; llhttp goes on with the next."""

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.trailers = False
        self.body = b""
        self.head = False
        self.complete = False
        self.parser: httptools.HttpRequestParser | httptools.HttpResponseParser
        self.version = b""

    def on_url(self, url: bytes) -> None:
        if not self.complete:
            self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head:  # what comes later are trailers
            self.fields.append(normal(name, value or b""))

    def on_headers_complete(self) -> None:
        if not self.head:
            self.version = self.parser.get_http_version().encode()
        self.head = True

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


def with_httptools(
    data: bytes, make: Callable[[Receiver], httptools.HttpRequestParser | httptools.HttpResponseParser], *, close: bool
) -> Outcome:
    receiver = Receiver()
    parser = receiver.parser = make(receiver)
    why = ""
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        receiver.complete = True
    except httptools.HttpParserError as error:
        why = str(error)
    framed = {name for name, _ in receiver.fields} & {b"content-length", b"transfer-encoding"}
    if not receiver.complete and not (close and receiver.head and not why and not framed):
        return Refused(why) if why else Unfinished()
    if isinstance(parser, httptools.HttpRequestParser):
        start: tuple[bytes, ...] = (parser.get_method(), receiver.url)
    else:
        start = (b"%d" % parser.get_status_code(),)
    return Message(start, receiver.version, tuple(receiver.fields), receiver.body)


def httptools_request(data: bytes) -> Outcome:
    return with_httptools(data, httptools.HttpRequestParser, close=False)


def httptools_response(data: bytes, *, close: bool) -> Outcome:
    return with_httptools(data, httptools.HttpResponseParser, close=close)
