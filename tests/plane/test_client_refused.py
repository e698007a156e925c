"""Every request that two servers could read differently: refused, closed, and nothing of it reaches an upstream."""

from collections.abc import Iterator

import pytest
from tests.plane.client_side import GET, OK, at_rest, is_refused, nobody_called, one_upstream
from tests.plane.harness import Plane, Upstream
from tests.wire.vectors import Case, load

pytestmark = pytest.mark.sanitize

STATUS = {
    "target_too_long": 414,
    "bad_expect": 417,
    "head_too_large": 431,
    "too_many_fields": 431,
    "connect_refused": 501,
    "unsupported_version": 505,
}
LIMITS = 'max_head = "32KiB"\nmax_uri = "8KiB"\nmax_headers = 100'
HEADS = [case for case in load("requests.json") if case.refused and not case.all.get("limits")]
CHUNKS = [case for case in load("chunked.json") if case.refused]
PATHS = [
    case
    for case in load("paths.json")
    if case.refused and not case.all.get("allow") and case.all["path"].startswith("/") and " " not in case.all["path"]
]
BEHIND = b"GET /smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def plane(upstream: Upstream) -> Iterator[Plane]:
    with Plane(one_upstream(upstream), LIMITS) as plane:
        yield plane


@pytest.mark.parametrize("case", HEADS, ids=str)
def test_head_that_could_be_read_in_two_ways_goes_nowhere(plane: Plane, upstream: Upstream, case: Case) -> None:
    assert case.refused is not None
    with plane.connect() as client:
        client.send(case.input + BEHIND)
        is_refused(client, STATUS.get(case.refused, 400), case.refused)
    assert nobody_called(upstream)
    at_rest(plane)


@pytest.mark.parametrize("case", HEADS[::7], ids=str)
def test_head_that_comes_byte_by_byte_is_refused_the_same_way(plane: Plane, upstream: Upstream, case: Case) -> None:
    assert case.refused is not None
    with plane.connect() as client:
        for i in range(min(len(case.input), 300)):
            client.send(case.input[i : i + 1])
        client.send(case.input[300:])
        is_refused(client, STATUS.get(case.refused, 400), case.refused)
    assert nobody_called(upstream)


@pytest.mark.parametrize("case", HEADS[::11], ids=str)
def test_bad_head_behind_a_good_request_leaves_that_one_its_answer(
    plane: Plane, upstream: Upstream, case: Case
) -> None:
    assert case.refused is not None
    with plane.connect() as client:
        client.send(GET + case.input + BEHIND)
        with upstream.accept() as server:
            assert server.request()[0] == "GET / HTTP/1.1"
            server.send(OK)
            assert client.answer().body == b"ok"
            is_refused(client, STATUS.get(case.refused, 400), case.refused)
            server.sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                server.sock.recv(1)
    at_rest(plane)


@pytest.mark.parametrize("case", CHUNKS, ids=str)
def test_bad_chunks_never_look_like_a_whole_body(plane: Plane, upstream: Upstream, case: Case) -> None:
    """The upstream may have seen the good part of the body; it sees the connection end before the body does."""
    assert case.refused is not None
    head = b"POST / HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    with plane.connect() as client:
        client.send(head + case.input + BEHIND)
        is_refused(client, 400, case.refused)
    with upstream.accept() as server:
        seen = b""
        try:
            seen = server.rest()
        except ConnectionResetError:
            seen = server.buffer
        assert b"smuggled" not in seen
        assert not seen.endswith(b"0\r\n\r\n")
    at_rest(plane)


@pytest.mark.parametrize("case", PATHS, ids=str)
def test_path_that_hides_something_goes_nowhere(plane: Plane, upstream: Upstream, case: Case) -> None:
    assert case.refused is not None
    path = case.all["path"].encode("latin-1")
    with plane.connect() as client:
        client.send(b"GET " + path + b" HTTP/1.1\r\nHost: gateway.test\r\n\r\n" + BEHIND)
        answer = client.answer()
        assert answer.status == 400
        assert answer.get("Connection") == "close"
        assert client.is_closed()
    assert nobody_called(upstream)
    at_rest(plane)
