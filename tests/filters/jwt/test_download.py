"""One GET of a key set."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme
from tests.filters.issuers import Publisher, publishing

from tidegate.filters.jwt.download import SET_MAX, check_url, download


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example.com/keys",
        "https://a:8443",
        "http://127.0.0.1:8080/k?v=1",
        "http://[::1]/",
        "http://localhost/k",
    ],
)
def test_keys_come_over_tls_or_from_this_machine(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "keys", "/keys", "http://login.example.com/keys", "http://10.0.0.1/", "ftp://a/b", "file:///etc/passwd", "https://",
        "https://a:99999/", "https://a b/", "https://a/\r\nX: y", "https://a/#x", "http://127.0.0.1.example.com/", "https://é/",
    ],
)  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|https"):
        check_url(url)


def test_password_in_a_url_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match="no password") as caught:
        check_url("https://ann:sesame@example.com/")
    assert "sesame" not in str(caught.value)


def test_document_is_had_as_it_is() -> None:
    with publishing(b"x" * SET_MAX) as publisher:
        assert download(publisher.url, ca=None, timeout_s=30.0) == b"x" * SET_MAX
        assert publisher.asked == 1


def test_document_that_is_too_large_is_not_read_to_its_end() -> None:
    with publishing(b"x" * (SET_MAX + 1)) as publisher, pytest.raises(ValueError, match="more than"):
        download(publisher.url, ca=None, timeout_s=30.0)


@pytest.mark.parametrize("status", [204, 301, 302, 404, 500, 503])
def test_other_answers_are_no_keys_and_no_redirect_is_followed(status: int) -> None:
    with publishing(b"") as publisher:
        publisher.publish(b"", status)
        with pytest.raises(ValueError, match=f"answered {status}"):
            download(publisher.url, ca=None, timeout_s=30.0)
        assert publisher.asked == 1


def test_half_a_document_is_none() -> None:
    def half(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
        handler.close_connection = True

    with publishing(b"") as publisher:
        publisher.answer = half
        with pytest.raises(ValueError, match="half"):
            download(publisher.url, ca=None, timeout_s=30.0)


def test_garbage_is_a_value_error() -> None:
    with publishing(b"") as publisher:
        publisher.answer = _garbage
        with pytest.raises(ValueError, match="no HTTP"):
            download(publisher.url, ca=None, timeout_s=30.0)


def _garbage(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"+PONG\r\n")
    handler.close_connection = True


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"]
)
def test_publisher_that_says_a_byte_now_and_then_is_left(begun: bytes) -> None:
    ended = threading.Event()

    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.wfile.write(begun)
        while not ended.wait(0.01):
            try:
                handler.wfile.write(b"x")
            except OSError:
                return

    with publishing(b"") as publisher:
        publisher.answer = drip
        with pytest.raises(TimeoutError):
            download(publisher.url, ca=None, timeout_s=0.2)
        ended.set()


def test_publisher_that_is_silent_or_away_is_an_os_error() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        with pytest.raises(OSError, match="timed out"):
            download(f"http://127.0.0.1:{listening.getsockname()[1]}/", ca=None, timeout_s=0.1)
    with pytest.raises(OSError, match="refused"):
        download("http://127.0.0.1:1/", ca=None, timeout_s=30.0)


def test_certificate_is_verified_by_the_roots_that_are_named(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    publisher = Publisher()
    publisher.publish(b"{}")
    publisher.server.socket = context.wrap_socket(publisher.server.socket, server_side=True)
    port = publisher.server.server_address[1]
    try:
        assert download(f"https://localhost:{port}/", ca=str(tmp_path / "ca.pem"), timeout_s=30.0) == b"{}"
        with pytest.raises(ssl.SSLCertVerificationError):
            download(f"https://localhost:{port}/", ca=None, timeout_s=30.0)
        with pytest.raises(ssl.SSLCertVerificationError):
            download(f"https://127.0.0.1:{port}/", ca=str(tmp_path / "ca.pem"), timeout_s=30.0)
    finally:
        publisher.close()
