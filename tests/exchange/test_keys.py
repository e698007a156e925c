"""What a request is told apart by. (How keys are balanced: tests/plane/test_upstream_balance.)"""

import re

import pytest
from tests.exchange.filtered import filtered, get, look, received  # noqa: F401

TRUSTING = 'trusted_proxies = ["127.0.0.0/8"]'


def request_id(headers: str = "", server: str = "") -> str:
    return look(lambda view: view.id, get(headers=headers), server=server)


def test_id_is_made_of_32_digits_and_made_anew() -> None:
    found = {request_id() for _ in range(5)}
    assert len(found) == 5
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in found)


@pytest.mark.parametrize(
    ("header", "is_kept"),
    [
        ("X-Request-ID: abc-123", True),
        ("x-request-id: " + "a" * 64, True),
        ("X-Request-ID: " + "a" * 65, False),
        ("X-Request-ID:", False),
        ("X_Request_ID: abc", False),
    ],
)
def test_id_of_a_trusted_proxy_is_kept_if_it_is_one(header: str, is_kept: bool) -> None:
    value = header.split(":")[1].strip()
    assert (request_id(f"{header}\r\n", TRUSTING) == value) is is_kept
    assert request_id(f"{header}\r\n") != value


def test_id_is_the_same_for_the_upstream_the_log_and_a_problem() -> None:
    with filtered() as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            _, fields, _ = server.request()
            server.send(b"nonsense\r\n")
            answer = client.answer()
        sent = dict(fields)["X-Request-ID"]
        assert f'"request_id":"{sent}"'.encode() in answer.body
        assert plane.log_records(1)[0]["request_id"] == sent
        client.close()
