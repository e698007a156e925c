"""Whether a request may be sent once more, and whose fault a failure was: arithmetic, without state.

A request that is sent twice may be carried out twice. So the question is never how likely that is, but whether it can
be ruled out (nothing of it has left the gateway) or does no harm (an idempotent method, on a connection that the server
had every right to close while it was idle).
"""

import errno
from typing import Final

from tidegate.errors import Kind, Retry, default_retry, kind_of_errno

__all__ = ["IDEMPOTENT_METHODS", "blames_endpoint", "is_lost", "is_worth_a_retry", "kind_of_dial_errno", "may_retry"]

IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""RFC 9110 section 9.2.2."""

_DIALLING: Final[dict[int, Kind]] = {
    # Every local port towards this peer is taken; EADDRINUSE is how it is said when a source address is bound.
    errno.EADDRINUSE: Kind.GATEWAY_EXHAUSTED,
}

_ENDPOINTS_FAULT: Final = frozenset(
    {
        Kind.DESTINATION_UNAVAILABLE,
        Kind.DESTINATION_IP_UNROUTABLE,
        Kind.CONNECTION_REFUSED,
        Kind.CONNECTION_TERMINATED,
        Kind.CONNECTION_TIMEOUT,
        Kind.CONNECTION_READ_TIMEOUT,
        Kind.CONNECTION_WRITE_TIMEOUT,
        Kind.TLS_PROTOCOL_ERROR,
        Kind.TLS_CERTIFICATE_ERROR,
        Kind.TLS_ALERT_RECEIVED,
        Kind.HTTP_RESPONSE_INCOMPLETE,
        Kind.HTTP_RESPONSE_HEADER_SECTION_SIZE,
        Kind.HTTP_RESPONSE_HEADER_SIZE,
        Kind.HTTP_RESPONSE_TRAILER_SECTION_SIZE,
        Kind.HTTP_RESPONSE_TRAILER_SIZE,
        Kind.HTTP_RESPONSE_TRANSFER_CODING,
        Kind.HTTP_RESPONSE_CONTENT_CODING,
        Kind.HTTP_RESPONSE_TIMEOUT,
        Kind.HTTP_PROTOCOL_ERROR,
    }
)


_LOST: Final = frozenset(
    {
        Kind.DESTINATION_UNAVAILABLE,
        Kind.DESTINATION_IP_UNROUTABLE,
        Kind.CONNECTION_REFUSED,
        Kind.CONNECTION_TERMINATED,
        Kind.CONNECTION_TIMEOUT,
        Kind.CONNECTION_READ_TIMEOUT,
        Kind.CONNECTION_WRITE_TIMEOUT,
        Kind.HTTP_RESPONSE_TIMEOUT,
    }
)


def may_retry(
    *,
    method_is_idempotent: bool,
    body_replayable: bool,
    reused: bool,
    bytes_handed_to_kernel: int,
    answer_bytes: int,
) -> bool:
    """Whether a request whose connection failed may be sent once more (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).

    Args:
        method_is_idempotent: Whether the method is one of ``IDEMPOTENT_METHODS``.
        body_replayable: Whether every byte of the body that was sent can be sent again.
        reused: Whether the connection had carried an exchange before.
        bytes_handed_to_kernel: How much of the request was written, TLS or not.
        answer_bytes: How much of an answer was read, 1xx included.
    """
    if answer_bytes:
        return False
    if bytes_handed_to_kernel == 0:
        return True
    return method_is_idempotent and body_replayable and reused


def is_worth_a_retry(kind: Kind) -> bool:
    """Whether another attempt could end differently.

    Not when the gateway itself has run out of ports, descriptors or buffers: each retry would make it worse.
    """
    return default_retry(kind) is not Retry.NO


def blames_endpoint(kind: Kind) -> bool:
    """Whether a failure counts against the endpoint (``Endpoint.ended(failed)``, ejection).

    Not what is the client's or the gateway's own doing, and not a full listen queue of a unix socket: that server is
    busy, and ejecting it would send its load to the next one.
    """
    return kind in _ENDPOINTS_FAULT


def is_lost(kind: Kind) -> bool:
    """Whether an endpoint could not be reached, went away or kept silent: what trouble of our own would look like."""
    return kind in _LOST


def kind_of_dial_errno(number: int, *, is_unix: bool) -> Kind:
    """The kind of failure that an ``errno`` of socket(2), bind(2) or connect(2) towards an endpoint is.

    Args:
        number: What the system call said.
        is_unix: Whether the endpoint is a unix socket. EAGAIN means that the server's listen queue is full there; from
            TCP it means that the kernel has no room for another route.
    """
    if number == errno.EAGAIN and not is_unix:
        return Kind.GATEWAY_EXHAUSTED
    return _DIALLING.get(number) or kind_of_errno(number, connected=False)
