"""Kinds of failure at the gateway's borders: what failed, on whose side, whether a retry is safe, what is answered.

The words are those of RFC 9209 (Proxy-Status), which is what the client is told, and what logs and metrics are labelled
with. One is ours: ``gateway_exhausted``, for when the machine under the gateway has run out of ports, descriptors or
buffers. It says nothing about the endpoint, so it ejects nobody and is never retried.

This module imports nothing of ours, so that everything may import it.
"""

import errno
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """Proxy error types of RFC 9209 section 2.3, in its order; the last is Tidegate's own."""

    DNS_TIMEOUT = "dns_timeout"
    DNS_ERROR = "dns_error"
    DESTINATION_NOT_FOUND = "destination_not_found"
    DESTINATION_UNAVAILABLE = "destination_unavailable"
    DESTINATION_IP_PROHIBITED = "destination_ip_prohibited"
    DESTINATION_IP_UNROUTABLE = "destination_ip_unroutable"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_TERMINATED = "connection_terminated"
    CONNECTION_TIMEOUT = "connection_timeout"
    CONNECTION_READ_TIMEOUT = "connection_read_timeout"
    CONNECTION_WRITE_TIMEOUT = "connection_write_timeout"
    CONNECTION_LIMIT_REACHED = "connection_limit_reached"
    TLS_PROTOCOL_ERROR = "tls_protocol_error"
    TLS_CERTIFICATE_ERROR = "tls_certificate_error"
    TLS_ALERT_RECEIVED = "tls_alert_received"
    HTTP_REQUEST_ERROR = "http_request_error"
    HTTP_REQUEST_DENIED = "http_request_denied"
    HTTP_RESPONSE_INCOMPLETE = "http_response_incomplete"
    HTTP_RESPONSE_HEADER_SECTION_SIZE = "http_response_header_section_size"
    HTTP_RESPONSE_HEADER_SIZE = "http_response_header_size"
    HTTP_RESPONSE_BODY_SIZE = "http_response_body_size"
    HTTP_RESPONSE_TRAILER_SECTION_SIZE = "http_response_trailer_section_size"
    HTTP_RESPONSE_TRAILER_SIZE = "http_response_trailer_size"
    HTTP_RESPONSE_TRANSFER_CODING = "http_response_transfer_coding"
    HTTP_RESPONSE_CONTENT_CODING = "http_response_content_coding"
    HTTP_RESPONSE_TIMEOUT = "http_response_timeout"
    HTTP_UPGRADE_FAILED = "http_upgrade_failed"
    HTTP_PROTOCOL_ERROR = "http_protocol_error"
    PROXY_INTERNAL_RESPONSE = "proxy_internal_response"
    PROXY_INTERNAL_ERROR = "proxy_internal_error"
    PROXY_CONFIGURATION_ERROR = "proxy_configuration_error"
    PROXY_LOOP_DETECTED = "proxy_loop_detected"
    GATEWAY_EXHAUSTED = "gateway_exhausted"


class Source(StrEnum):
    """On whose side it failed."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    INTERNAL = "internal"


class Retry(StrEnum):
    """Whether the request may be sent once more."""

    YES = "yes"
    """None of its bytes had been handed to the kernel: any method may be repeated."""
    NO = "no"
    ONLY_IF_REUSED = "only_if_reused"
    """Only when the connection had been idle in a pool (the peer may have closed it before the request reached it), no
    byte of the answer came, and the request is idempotent and can be replayed."""


STATUS: Final[dict[Kind, int]] = {
    Kind.DNS_TIMEOUT: 504,
    Kind.DNS_ERROR: 502,
    Kind.DESTINATION_NOT_FOUND: 500,
    Kind.DESTINATION_UNAVAILABLE: 503,
    Kind.DESTINATION_IP_PROHIBITED: 502,
    Kind.DESTINATION_IP_UNROUTABLE: 502,
    Kind.CONNECTION_REFUSED: 502,
    Kind.CONNECTION_TERMINATED: 502,
    Kind.CONNECTION_TIMEOUT: 504,
    Kind.CONNECTION_READ_TIMEOUT: 504,
    Kind.CONNECTION_WRITE_TIMEOUT: 504,
    Kind.CONNECTION_LIMIT_REACHED: 503,
    Kind.TLS_PROTOCOL_ERROR: 502,
    Kind.TLS_CERTIFICATE_ERROR: 502,
    Kind.TLS_ALERT_RECEIVED: 502,
    Kind.HTTP_REQUEST_ERROR: 400,  # the RFC: "the applicable 4xx"
    Kind.HTTP_REQUEST_DENIED: 403,
    Kind.HTTP_RESPONSE_INCOMPLETE: 502,
    Kind.HTTP_RESPONSE_HEADER_SECTION_SIZE: 502,
    Kind.HTTP_RESPONSE_HEADER_SIZE: 502,
    Kind.HTTP_RESPONSE_BODY_SIZE: 502,
    Kind.HTTP_RESPONSE_TRAILER_SECTION_SIZE: 502,
    Kind.HTTP_RESPONSE_TRAILER_SIZE: 502,
    Kind.HTTP_RESPONSE_TRANSFER_CODING: 502,
    Kind.HTTP_RESPONSE_CONTENT_CODING: 502,
    Kind.HTTP_RESPONSE_TIMEOUT: 504,
    Kind.HTTP_UPGRADE_FAILED: 502,
    Kind.HTTP_PROTOCOL_ERROR: 502,
    Kind.PROXY_INTERNAL_RESPONSE: 500,  # the RFC: "the most appropriate"
    Kind.PROXY_INTERNAL_ERROR: 500,
    Kind.PROXY_CONFIGURATION_ERROR: 500,
    Kind.PROXY_LOOP_DETECTED: 502,
    Kind.GATEWAY_EXHAUSTED: 503,
}
"""The recommended HTTP status of each kind (RFC 9209 section 2.3)."""

_CONNECTING: Final[dict[int, Kind]] = {
    errno.ECONNREFUSED: Kind.CONNECTION_REFUSED,
    errno.ENOENT: Kind.CONNECTION_REFUSED,  # unix socket: nobody has bound that path, as with a closed port
    errno.ETIMEDOUT: Kind.CONNECTION_TIMEOUT,
    errno.EHOSTUNREACH: Kind.DESTINATION_IP_UNROUTABLE,
    errno.EHOSTDOWN: Kind.DESTINATION_IP_UNROUTABLE,
    errno.ENETUNREACH: Kind.DESTINATION_IP_UNROUTABLE,
    errno.ENETDOWN: Kind.DESTINATION_IP_UNROUTABLE,
    errno.EAGAIN: Kind.CONNECTION_LIMIT_REACHED,  # unix socket: the server's listen queue is full
    errno.EACCES: Kind.PROXY_CONFIGURATION_ERROR,  # unix socket whose mode shuts us out, or a firewall of our own
    errno.EPERM: Kind.PROXY_CONFIGURATION_ERROR,
}
_ALWAYS: Final[dict[int, Kind]] = {
    errno.ECONNRESET: Kind.CONNECTION_TERMINATED,
    errno.ECONNABORTED: Kind.CONNECTION_TERMINATED,
    errno.EPIPE: Kind.CONNECTION_TERMINATED,
    errno.ENOTCONN: Kind.CONNECTION_TERMINATED,
    errno.EADDRNOTAVAIL: Kind.GATEWAY_EXHAUSTED,
    errno.EMFILE: Kind.GATEWAY_EXHAUSTED,
    errno.ENFILE: Kind.GATEWAY_EXHAUSTED,
    errno.ENOBUFS: Kind.GATEWAY_EXHAUSTED,
    errno.ENOMEM: Kind.GATEWAY_EXHAUSTED,
}
_CONNECTED: Final[dict[int, Kind]] = {
    # Keepalive, TCP_USER_TIMEOUT or a router ended it. Not a connect timeout: the request may have been received.
    errno.ETIMEDOUT: Kind.CONNECTION_TERMINATED,
    errno.EHOSTUNREACH: Kind.CONNECTION_TERMINATED,
    errno.ENETUNREACH: Kind.CONNECTION_TERMINATED,
}
_OURS: Final = frozenset({Kind.GATEWAY_EXHAUSTED, Kind.PROXY_CONFIGURATION_ERROR, Kind.PROXY_INTERNAL_ERROR})

_DEFAULT_RETRY: Final[dict[Kind, Retry]] = {
    Kind.DNS_TIMEOUT: Retry.YES,
    Kind.DNS_ERROR: Retry.YES,
    Kind.DESTINATION_IP_UNROUTABLE: Retry.YES,
    Kind.CONNECTION_REFUSED: Retry.YES,
    Kind.CONNECTION_TIMEOUT: Retry.YES,
    Kind.CONNECTION_TERMINATED: Retry.ONLY_IF_REUSED,
}


def kind_of_errno(number: int, *, connected: bool) -> Kind:
    """Returns the kind for an ``errno`` towards an endpoint, ``connected`` or still on the way there."""
    kind = _ALWAYS.get(number) or (_CONNECTED if connected else _CONNECTING).get(number)
    return kind or Kind.PROXY_INTERNAL_ERROR


def default_retry(kind: Kind) -> Retry:
    """Returns what is safe for that kind when nothing more is known: yes only before a connection could be used."""
    return _DEFAULT_RETRY.get(kind, Retry.NO)


class GatewayError(Exception):
    """A failure at one of the gateway's borders.

    Args:
        kind: What failed.
        detail: What was expected, what came, and what to do; for logs and the ``details`` of Proxy-Status.
        source: On whose side.
        retry: Whether the request may be sent again; by default what is safe for the kind.
        status: HTTP status to answer with; by default the one that RFC 9209 recommends.
        cause: The exception behind it, kept as ``__cause__``.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str = "",
        *,
        source: Source = Source.UPSTREAM,
        retry: Retry | None = None,
        status: int | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail
        self.source = source
        self.retry = default_retry(kind) if retry is None else retry
        self.status = STATUS[kind] if status is None else status
        self.__cause__ = cause

    @classmethod
    def from_os_error(cls, error: OSError, detail: str = "", *, connected: bool) -> "GatewayError":
        """Returns the failure that an operating system error towards an endpoint is.

        Args:
            error: What the system call said.
            detail: Which endpoint, and what was being done.
            connected: False while nothing of a request can have been sent yet.
        """
        kind = kind_of_errno(error.errno or 0, connected=connected)
        reason = error.strerror or str(error) or type(error).__name__
        return cls(
            kind,
            f"{detail}: {reason}" if detail else reason,
            source=Source.INTERNAL if kind in _OURS else Source.UPSTREAM,
            retry=Retry.YES if kind is Kind.CONNECTION_TERMINATED and not connected else None,
            cause=error,
        )

    @property
    def cause(self) -> BaseException | None:
        """The exception behind this one, if any."""
        return self.__cause__

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else str(self.kind)

    def __repr__(self) -> str:
        return (
            f"<GatewayError {self.kind} source={self.source} retry={self.retry} status={self.status} {self.detail!r}>"
        )
