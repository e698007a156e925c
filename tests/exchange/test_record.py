"""What the access log says of an exchange."""

from tests.exchange.filtered import OK, filtered, get
from tests.plane.harness import until


def test_line_of_an_ordinary_exchange() -> None:
    with filtered() as (plane, upstream), plane.connect() as client:
        client.send(
            b"POST /a?b=c HTTP/1.1\r\nHost: gateway.test\r\nUser-Agent: test/1\r\nReferer: http://r/\r\n"
            b"Content-Length: 5\r\n\r\nhello"
        )
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            client.answer()
        (record,) = plane.log_records(1)
        expected = {
            "client": "127.0.0.1", "method": "POST", "target": "/a?b=c", "host": "gateway.test", "status": 200,
            "bytes_in": 5, "bytes_out": 2, "route": "all", "upstream": "a", "endpoint": upstream.address,
            "upstream_status": 200, "attempts": 1, "connection": 1, "connection_uses": 1, "upstream_connection": 2,
            "upstream_connection_uses": 1, "user_agent": "test/1", "referer": "http://r/",
        }  # fmt: skip
        assert {name: record.get(name) for name in expected} == expected
        assert 0 < record["upstream_ms"] <= record["duration_ms"] < 10_000
        assert record["connect_ms"] >= 0
        assert not {"error", "detail", "event", "tls"} & record.keys()
        client.close()


def test_reused_connections_are_counted_on_both_sides() -> None:
    with filtered() as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            for i in range(3):
                if i:
                    client.send(get())
                server.request()
                server.send(OK)
                client.answer()
        records = plane.log_records(3)
        assert [(one["connection_uses"], one["upstream_connection_uses"]) for one in records] == [
            (1, 1),
            (2, 2),
            (3, 3),
        ]
        assert ["connect_ms" in one for one in records] == [True, False, False]
        client.close()


def test_client_that_left_before_an_answer_is_499() -> None:
    with filtered() as (plane, upstream):
        client = plane.connect()
        client.send(get())
        with upstream.accept() as server:
            server.request()
            client.reset()
            until(plane.is_at_rest, "at rest")
        (record,) = plane.log_records(1)
        assert (record["status"], record["error"], record["detail"]) == (499, "connection_terminated", "client closed")
        assert "upstream_status" not in record
        assert record["bytes_out"] == 0


def test_request_that_was_not_understood() -> None:
    with filtered() as (plane, _), plane.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
        assert client.answer().status == 400
        client.close()
        (record,) = plane.log_records(1)
        assert (record["status"], record["detail"]) == (400, "repeated_content_length")
        assert not {"method", "target", "host", "route", "upstream", "endpoint", "attempts"} & record.keys()


def test_bytes_that_are_no_text_do_not_break_the_line() -> None:
    with filtered() as (plane, upstream), plane.connect() as client:
        client.send(b'GET /?"\\ HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\xfe"\\\t\r\n\r\n')
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().status == 200
        (record,) = plane.log_records(1)
        assert record["target"] == '/?"\\'
        client.close()
