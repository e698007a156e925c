import errno
import os
import pickle
import re
import socket

import pytest

from tidegate.errors import STATUS, GatewayError, Kind, Retry, Source, default_retry, kind_of_errno

EXHAUSTION = [errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS]


def test_each_kind_has_a_status_that_http_knows() -> None:
    assert set(STATUS) == set(Kind)
    assert all(400 <= status <= 599 for status in STATUS.values())


def test_kinds_are_structured_field_tokens() -> None:
    """They go into Proxy-Status unquoted (RFC 8941 section 3.3.4)."""
    assert [kind for kind in Kind if not re.fullmatch(r"[a-z][a-z_]*", kind)] == []


def test_timeouts_are_504() -> None:
    assert {STATUS[kind] for kind in Kind if kind.endswith("_timeout")} == {504}


def test_status_and_retry_follow_the_kind_unless_given() -> None:
    refused = GatewayError(Kind.CONNECTION_REFUSED, "10.0.0.5:9001")
    assert (refused.status, refused.retry, refused.source) == (502, Retry.YES, Source.UPSTREAM)
    too_long = GatewayError(Kind.HTTP_REQUEST_ERROR, status=414, source=Source.DOWNSTREAM, retry=Retry.YES)
    assert (too_long.status, too_long.retry, too_long.source) == (414, Retry.YES, Source.DOWNSTREAM)


def test_only_kinds_of_before_the_first_byte_are_always_safe_to_retry() -> None:
    always = {kind for kind in Kind if default_retry(kind) is Retry.YES}
    assert always == {
        Kind.DNS_TIMEOUT,
        Kind.DNS_ERROR,
        Kind.DESTINATION_IP_UNROUTABLE,
        Kind.CONNECTION_REFUSED,
        Kind.CONNECTION_TIMEOUT,
    }
    assert default_retry(Kind.CONNECTION_TERMINATED) is Retry.ONLY_IF_REUSED


@pytest.mark.parametrize("number", EXHAUSTION, ids=errno.errorcode.__getitem__)
def test_our_own_exhaustion_is_neither_retried_nor_blamed_on_the_endpoint(number: int) -> None:
    error = GatewayError.from_os_error(OSError(number, os.strerror(number)), "10.0.0.5:9001", connected=False)
    assert error.kind is Kind.GATEWAY_EXHAUSTED
    assert (error.retry, error.source, error.status) == (Retry.NO, Source.INTERNAL, 503)


def test_refused_connection_of_the_kernel_is_told_with_endpoint_and_reason() -> None:
    with socket.socket() as unbound:
        unbound.bind(("127.0.0.1", 0))
        address = unbound.getsockname()
        with socket.socket() as client, pytest.raises(ConnectionRefusedError) as refused:
            client.connect(address)
    error = GatewayError.from_os_error(refused.value, "127.0.0.1:1", connected=False)
    assert error.kind is Kind.CONNECTION_REFUSED
    assert str(error) == "connection_refused: 127.0.0.1:1: Connection refused"
    assert error.cause is refused.value


@pytest.mark.parametrize("number", errno.errorcode, ids=errno.errorcode.__getitem__)
def test_no_error_of_an_established_connection_is_always_safe_to_retry(number: int) -> None:
    """The request may have been received: ETIMEDOUT here is not the ETIMEDOUT of connect."""
    error = GatewayError.from_os_error(OSError(number, os.strerror(number)), connected=True)
    assert error.retry is not Retry.YES


def test_reset_before_the_request_was_sent_is_safe_to_retry() -> None:
    reset = OSError(errno.ECONNRESET, "reset")
    assert GatewayError.from_os_error(reset, connected=False).retry is Retry.YES
    assert GatewayError.from_os_error(reset, connected=True).retry is Retry.ONLY_IF_REUSED


def test_unknown_errno_is_our_own_fault() -> None:
    assert kind_of_errno(0, connected=True) is Kind.PROXY_INTERNAL_ERROR
    error = GatewayError.from_os_error(OSError("no number"), connected=True)
    assert (error.source, error.detail) == (Source.INTERNAL, "no number")


def test_repr_reads_like_a_dashboard() -> None:
    error = GatewayError(Kind.HTTP_RESPONSE_TIMEOUT, "no head in 5 s")
    assert repr(error) == "<GatewayError http_response_timeout source=upstream retry=no status=504 'no head in 5 s'>"


def test_error_survives_a_pickle_between_processes() -> None:
    error = GatewayError(Kind.DNS_ERROR, "orders", source=Source.INTERNAL, status=503)
    assert repr(pickle.loads(pickle.dumps(error))) == repr(error)
