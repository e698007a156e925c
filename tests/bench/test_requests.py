"""What a load sends, in a ring."""

import pytest

from tidegate.bench.requests import Requests

A, B, C = b"GET /a HTTP/1.1\r\n\r\n", b"HEAD /b HTTP/1.1\r\n\r\n", b"GET /c HTTP/1.1\r\n\r\n"


def test_requests_go_around():
    requests = Requests([A, B, C])
    assert requests.take(7) == [A, B, C, A, B, C, A]
    assert len(requests) == 3
    assert repr(requests) == "<Requests 3, next b'HEAD /b HTTP/1.1\\r\\n\\r\\n'>"


def test_processes_begin_at_different_places():
    assert Requests([A, B, C], first=2).take(2) == [C, A]
    assert Requests([A, B, C], first=4).take(1) == [B]


def test_nothing_to_send_is_refused():
    with pytest.raises(ValueError, match="at least one request"):
        Requests([])
    with pytest.raises(TypeError):
        Requests(["text"])
