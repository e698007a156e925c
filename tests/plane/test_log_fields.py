"""Every field of the access log, in lines that real exchanges wrote."""

from __future__ import annotations

import re
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.plane.harness import Peer, Plane, Upstream, until
from tests.plane.serving import GET, OK, gateway

from tidegate.config.log_fields import FIELDS

pytestmark = pytest.mark.sanitize

ALL = f"[access_log]\nfields = [{', '.join(repr(field.name) for field in FIELDS)}]\n"
ALWAYS = {field.name for field in FIELDS if field.absent == "never"}


def test_fields_of_an_exchange_are_those_that_it_had() -> None:
    with (
        Upstream() as upstream,
        Plane(gateway(upstream.address) + ALL) as plane,
        plane.connect() as client,
    ):
        port = client.sock.getsockname()[1]
        for turn in (1, 2):
            began = time.time()
            client.send(
                b"POST /a?b HTTP/1.1\r\nHost: gateway.test:80\r\nUser-Agent: me\r\nReferer: there\r\n"
                b"Content-Length: 5\r\n\r\nhello"
            )
            if turn == 1:
                server = upstream.accept()
            _, fields, _ = server.request()
            paused = time.monotonic()
            until(lambda paused=paused: time.monotonic() - paused > 0.05, "the server takes its time")
            server.send(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok")
            assert client.answer().status == 201
            (record,) = plane.log_records(1)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record.pop("ts"))
            assert record.pop("request_id") == dict(fields)["X-Request-ID"]
            assert 50 <= record.pop("upstream_ms") <= record.pop("duration_ms") < 1000 * (time.time() - began) + 1
            assert ("connect_ms" in record) == (turn == 1)
            record.pop("connect_ms", None)
            expected: dict[str, Any] = {
                "client": "127.0.0.1", "method": "POST", "target": "/a?b", "host": "gateway.test:80",
                "protocol": "HTTP/1.1", "status": 201, "bytes_in": 5, "bytes_out": 2, "route": "all", "upstream": "a",
                "endpoint": upstream.address, "upstream_status": 201, "attempts": 1, "connection_uses": turn,
                "upstream_connection_uses": turn, "user_agent": "me", "referer": "there", "peer": "127.0.0.1",
                "client_port": port,
            }  # fmt: skip
            serials = record.pop("connection"), record.pop("upstream_connection")
            assert record == expected
            if turn == 1:
                first = serials
        assert serials == first and serials[0] != serials[1]
        server.close()


def test_fields_that_say_why() -> None:
    with Plane(gateway("127.0.0.1:1") + ALL) as plane, plane.connect() as client:
        client.send(GET)
        assert client.answer().status == 502
        (record,) = plane.log_records(1)
        assert (record["error"], record["detail"]) == ("connection_refused", "Connection refused")
        assert (record["status"], record["endpoint"], record["attempts"]) == (502, "127.0.0.1:1", 1)
        assert not {"upstream_status", "upstream_ms"} & set(record)
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.answer().status == 400
        (record,) = plane.log_records(1)
        assert (record["status"], record["error"], record["detail"]) == (400, "http_request_error", "missing_host")
        assert set(record) - {"request_id", "error", "detail", "client_port"} == ALWAYS


def test_line_of_an_exchange_that_was_tried_twice_names_the_peer_really_used() -> None:
    # Both may be asked first; the other one is closed.
    with (
        Upstream() as upstream,
        Plane(gateway("127.0.0.1:1", upstream.address, upstream='balance = "round_robin"') + ALL) as plane,
    ):
        attempts = []
        for _ in range(2):
            with plane.connect() as client:
                client.send(GET)
                with upstream.accept() as server:
                    server.request()
                    server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
                    assert client.answer().body == b"ok"
                (record,) = plane.log_records(1)
                assert record["endpoint"] == upstream.address
                attempts.append(record["attempts"])
        assert sorted(attempts) == [1, 2]


def test_time_begins_with_the_first_byte_of_the_head() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address) + ALL) as plane, plane.connect() as client:
        client.send(GET[:5])
        paused = time.monotonic()
        until(lambda: time.monotonic() - paused > 0.2, "the client takes its time")
        client.send(GET[5:])
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().status == 200
        (record,) = plane.log_records(1)
        assert record["duration_ms"] >= 150


def test_tls_is_said(tmp_path: Path) -> None:
    authority = trustme.CA()
    both = tmp_path / "both.pem"
    authority.issue_cert("gateway.test").private_key_and_cert_chain_pem.write_to_path(both)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    listener = f'tls = {{ certificates = [{{ cert = "{both}", key = "{both}" }}] }}'
    with Plane(f'[[routes]]\nname = "all"\nrespond = {{}}\n{ALL}', listener=listener) as plane:
        with Peer(context.wrap_socket(plane.connect().sock, server_hostname="gateway.test")) as client:
            client.send(GET)
            assert client.answer().status == 200
        assert plane.log_records(1)[0]["tls"] is True


def test_no_field_goes_without_a_test() -> None:
    # Those above, but for ``event`` (test_websocket) and ``limit`` (test_limits): a new one needs its line and a test.
    looked_at = {
        *ALWAYS, "request_id", "event", "method", "target", "host", "upstream_ms", "connect_ms", "route", "upstream",
        "endpoint", "upstream_status", "attempts", "error", "detail", "upstream_connection", "upstream_connection_uses",
        "tls", "user_agent", "referer", "client_port", "limit",
    }  # fmt: skip
    assert looked_at == {field.name for field in FIELDS}
