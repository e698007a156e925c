"""One GET of a key set, bounded in size and time; it blocks, and is for a thread.

``http.client`` is enough: one request each few minutes, with nothing to share or keep. Over TLS, or from this
machine: who could change a key set on its way could sign tokens. No redirect is followed and no proxy of the
environment used, so that what is believed is what the configured host says.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from typing import Final
from urllib.parse import urlsplit

__all__ = ["SET_MAX", "check_url", "download"]

SET_MAX: Final = 256 << 10
"""Bytes that a key set may have."""

_PIECE: Final = 16 << 10


def check_url(url: str) -> None:
    """ValueError when ``url`` is none that a key set may come from."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is the check
    except ValueError as error:
        raise ValueError(f"{url} is no URL: {error}") from None
    if not (url.isascii() and url.isprintable()) or " " in url or not parts.hostname or parts.fragment:
        raise ValueError(f"{url} is no URL of a document")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL of keys has no user and no password")  # and is not shown: it has one
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError(f"keys come over https, or over http from this machine; {url} is neither")


def download(url: str, *, ca: str | None, timeout_s: float) -> bytes:
    """What ``url`` answers.

    Args:
        url: One that `check_url` has passed.
        ca: File with the roots to trust; None: those of the system.
        timeout_s: For all of it.

    Raises OSError when it cannot be had in time, ValueError when what comes is not a document of at most `SET_MAX`.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None  # noqa: S101 - narrows the type
    ends_at = time.monotonic() + timeout_s
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca)
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    ending: threading.Timer | None = None
    try:
        connection.connect()
        # One that says a byte a second passes every deadline of a socket; in its head no code of ours is called.
        ending = threading.Timer(max(0.0, ends_at - time.monotonic()), _end, (connection.sock,))
        ending.daemon = True
        ending.start()
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept": "application/jwk-set+json, application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise ValueError(f"answered {answer.status}")
        return _read(answer, ends_at)
    except http.client.HTTPException as error:
        _check_time(ends_at)
        raise ValueError(f"answered no HTTP: {type(error).__name__}: {error}") from None
    except OSError:
        _check_time(ends_at)  # which may be why: what comes after the socket was shut down is a reset
        raise
    finally:
        if ending is not None:
            ending.cancel()
        connection.close()


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # of TLS the socket below: nothing is read in the clear


def _check_time(ends_at: float) -> None:
    if time.monotonic() >= ends_at:
        raise TimeoutError("timed out: it took too long")


def _read(answer: http.client.HTTPResponse, ends_at: float) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := answer.read1(_PIECE):
        size += len(piece)
        if size > SET_MAX:
            raise ValueError(f"answered more than {SET_MAX} bytes")
        _check_time(ends_at)
        pieces.append(piece)
    _check_time(ends_at)  # what was cut off then is not the end of the document
    if answer.length:
        raise ValueError("answered half a document")
    return b"".join(pieces)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
