"""The Python face of the codec shows what the codec saw."""

import pytest

from tidegate.wire.view import ChunkedParser, RefusalError, RequestParser, ResponseParser

pytestmark = pytest.mark.sanitize


def test_request_head_is_shown_with_what_follows_it() -> None:
    parser = RequestParser()
    seen = parser.feed(b"GET /a?b=c HTTP/1.1\r\nHost: x.example:80\r\n\r\nrest")
    assert seen is not None
    assert (seen["method"], seen["path"], seen["query"], seen["host"]) == (b"GET", b"/a", b"b=c", b"x.example:80")
    assert parser.rest == b"rest"


def test_incomplete_head_is_none_until_its_empty_line() -> None:
    parser = ResponseParser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n") is None
    seen = parser.feed(b"\r\nabc")
    assert seen is not None
    assert (seen["status"], seen["framing"], seen["length"]) == (200, "length", 3)


def test_chunked_body_is_joined_and_its_rest_kept() -> None:
    parser = ChunkedParser()
    assert parser.feed(b"5\r\nhello\r\n0\r\n\r\nNEXT") == b"hello"
    assert parser.done
    assert parser.rest == b"NEXT"


def test_refusal_carries_name_and_status() -> None:
    with pytest.raises(RefusalError, match="unsupported_version") as caught:
        RequestParser().feed(b"GET / HTTP/2.0\r\n\r\n")
    assert (caught.value.name, caught.value.status) == ("unsupported_version", 505)
