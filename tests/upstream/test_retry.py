"""When a request may be sent once more, and whose fault a failure was."""

import errno
import itertools
import socket
from pathlib import Path

import pytest

from tidegate.errors import Kind
from tidegate.upstream.retry import (
    IDEMPOTENT_METHODS,
    blames_endpoint,
    is_lost,
    is_worth_a_retry,
    kind_of_dial_errno,
    may_retry,
)


@pytest.mark.parametrize(
    ("is_idempotent", "is_replayable", "reused", "sent", "answered"),
    list(itertools.product([True, False], [True, False], [True, False], [0, 1, 5000], [0, 1])),
)
def test_request_is_repeated_only_when_that_is_safe(
    *, is_idempotent: bool, is_replayable: bool, reused: bool, sent: int, answered: int
) -> None:
    found = may_retry(
        method_is_idempotent=is_idempotent,
        body_replayable=is_replayable,
        reused=reused,
        bytes_handed_to_kernel=sent,
        answer_bytes=answered,
    )
    nothing_left_the_gateway = sent == 0
    server_closed_an_idle_connection = is_idempotent and is_replayable and reused
    assert found == (answered == 0 and (nothing_left_the_gateway or server_closed_an_idle_connection))


def test_post_and_patch_are_not_idempotent() -> None:
    assert {"GET", "PUT", "DELETE"} <= IDEMPOTENT_METHODS
    assert not IDEMPOTENT_METHODS & {"POST", "PATCH", "CONNECT", "get"}


OURS = [errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]


@pytest.mark.parametrize("number", OURS, ids=errno.errorcode.get)
@pytest.mark.parametrize("is_unix", [True, False], ids=["unix", "tcp"])
def test_our_own_exhaustion_ejects_nobody_and_is_never_retried(number: int, *, is_unix: bool) -> None:
    kind = kind_of_dial_errno(number, is_unix=is_unix)
    assert kind is Kind.GATEWAY_EXHAUSTED
    assert not blames_endpoint(kind) and not is_worth_a_retry(kind)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ECONNREFUSED, Kind.CONNECTION_REFUSED),
        (errno.ETIMEDOUT, Kind.CONNECTION_TIMEOUT),
        (errno.EHOSTUNREACH, Kind.DESTINATION_IP_UNROUTABLE),
        (errno.ENETUNREACH, Kind.DESTINATION_IP_UNROUTABLE),
        (errno.ECONNRESET, Kind.CONNECTION_TERMINATED),
    ],
)
def test_server_that_cannot_be_reached_is_blamed_and_another_is_tried(number: int, kind: Kind) -> None:
    assert kind_of_dial_errno(number, is_unix=False) is kind
    assert blames_endpoint(kind) and is_worth_a_retry(kind)


def test_what_trouble_of_our_own_network_would_look_like() -> None:
    lost = {kind for kind in Kind if is_lost(kind)}
    assert {Kind.CONNECTION_TIMEOUT, Kind.CONNECTION_REFUSED, Kind.HTTP_RESPONSE_TIMEOUT} <= lost
    assert all(blames_endpoint(kind) for kind in lost)
    assert not lost & {Kind.HTTP_PROTOCOL_ERROR, Kind.TLS_CERTIFICATE_ERROR, Kind.GATEWAY_EXHAUSTED}


def test_full_unix_socket_is_a_busy_server_and_not_a_bad_one() -> None:
    kind = kind_of_dial_errno(errno.EAGAIN, is_unix=True)
    assert kind is Kind.CONNECTION_LIMIT_REACHED
    assert not blames_endpoint(kind)
    assert kind_of_dial_errno(errno.EAGAIN, is_unix=False) is Kind.GATEWAY_EXHAUSTED


def test_kernel_says_what_the_table_expects(tmp_path: Path) -> None:
    """The errno values are the kernel's: a closed port, a path nobody has bound, a unix socket whose queue is full."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as client:
        assert kind_of_dial_errno(client.connect_ex(path), is_unix=True) is Kind.CONNECTION_REFUSED
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(0)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for client in clients:
            client.setblocking(False)
        kinds = {kind_of_dial_errno(e, is_unix=True) for client in clients if (e := client.connect_ex(path))}
        for client in clients:
            client.close()
        assert kinds == {Kind.CONNECTION_LIMIT_REACHED}
    with socket.socket() as unused, socket.socket() as client:
        unused.bind(("127.0.0.1", 0))
        assert kind_of_dial_errno(client.connect_ex(unused.getsockname()), is_unix=False) is Kind.CONNECTION_REFUSED


@pytest.mark.parametrize(
    "kind", [Kind.HTTP_REQUEST_ERROR, Kind.PROXY_INTERNAL_ERROR, Kind.DNS_ERROR, Kind.PROXY_CONFIGURATION_ERROR]
)
def test_what_is_not_the_servers_doing_is_not_held_against_it(kind: Kind) -> None:
    assert not blames_endpoint(kind)
