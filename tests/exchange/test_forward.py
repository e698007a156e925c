"""The way to the upstream and back: what fails is named, and whose fault it was. See tests/plane/test_upstream_*."""

import pytest
from tests.exchange.filtered import filtered, get
from tests.plane.harness import Plane, until
from tests.plane.serving import Serving, answering, gateway, proxy_error


def failures(plane: Plane) -> int:
    return sum(endpoint.failures for endpoint in plane.statistics().upstreams["a"])


@pytest.mark.parametrize(
    ("answer", "kind", "blamed"),
    [
        (b"nonsense\r\n", "http_protocol_error", 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "http_response_transfer_coding", 1),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 129 + b"\r\n", "http_response_header_section_size", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "", 0),
        (b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nabc", "", 0),
    ],
)
def test_failure_is_named_and_counted_against_its_endpoint(answer: bytes, kind: str, blamed: int) -> None:
    with filtered() as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(answer)
            got = client.answer()
        assert proxy_error(got) == kind
        if kind:
            assert f'next-hop="{upstream.address}"' in (got.get("Proxy-Status") or "")
        client.close()
        until(lambda: failures(plane) == blamed, "counted")


@pytest.mark.parametrize("what", ["leaves", "sends nonsense", "body too large"])
def test_clients_fault_is_not_the_endpoints(what: str) -> None:
    with filtered(listener='max_body = "1KiB"') as (plane, upstream), plane.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        with upstream.accept() as server:
            server.until(b"hello")
            if what == "leaves":
                client.reset()
            elif what == "sends nonsense":
                client.send(b"nonsense\r\n")
                assert client.answer().status == 400
            else:
                client.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
                assert client.answer().status == 413
            assert server.rest().endswith(b"0\r\n\r\n") is False  # a request cut short, never a whole one
        client.close()
        until(plane.is_at_rest, "at rest")
        assert failures(plane) == 0


def test_path_is_rewritten_for_every_attempt() -> None:
    with Serving(answering()) as serving:
        config = gateway("127.0.0.1:1", serving.address, route='path = "/a/*"\nrewrite = { strip_prefix = "/a" }')
        lines: list[str] = []
        serving.handler = lambda peer, line, fields, body: (lines.append(line), answering()(peer, line, fields, body))[
            1
        ]
        with Plane(config) as plane:
            for _ in range(6):
                assert plane.get("/a/b?c").status == 200
        assert set(lines) == {"GET /b?c HTTP/1.1"}
