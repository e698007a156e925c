"""What the answer of a limit that refuses is made of; with traffic in tests/plane/test_limits.py."""

from tests.plane.harness import Plane

from tidegate.exchange.refusal import Refusals

LIMIT = '[limits.a]\nrate = "1/d"\n[[routes]]\nname = "all"\nlimits = ["a"]\nrespond = {}\n'


def test_head_is_made_once_for_each_limit() -> None:
    with Plane(LIMIT) as plane:
        assert [plane.get().status for _ in range(4)] == [200, 429, 429, 429]
        ids = {plane.get().body for _ in range(2)}
        assert len(ids) == 2  # while what names the request is made for each
    assert len(Refusals()) == 0


def test_refusal_to_a_head_request_has_no_body() -> None:
    with Plane(LIMIT) as plane, plane.connect() as client:
        for status in (200, 429, 429):
            client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = client.answer(to="HEAD")
            assert answer.status == status
        assert int(answer.get("Content-Length") or 0) > 50
