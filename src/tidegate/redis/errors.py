"""What can fail on the way to a Redis server and back, in the gateway's own words.

Three things fail differently. The way to the server: a connection that cannot be made, that is lost, or that is silent.
A *reply* that is an error: `ReplyError`, whose `code` is the server's own word for it. And the link itself: bounds that
are reached, a server that is known to be away.
"""

from tidegate.errors import GatewayError, Kind, Retry, Source

__all__ = ["REFUSES_WORK", "ReplyError", "protocol_error", "too_large"]

_KINDS = {
    "OOM": Kind.DESTINATION_UNAVAILABLE,
    "LOADING": Kind.DESTINATION_UNAVAILABLE,
    "MASTERDOWN": Kind.DESTINATION_UNAVAILABLE,
    "CLUSTERDOWN": Kind.DESTINATION_UNAVAILABLE,
    "READONLY": Kind.DESTINATION_UNAVAILABLE,
    "TRYAGAIN": Kind.DESTINATION_UNAVAILABLE,
    "BUSY": Kind.DESTINATION_UNAVAILABLE,
    "MISCONF": Kind.DESTINATION_UNAVAILABLE,
    "NOREPLICAS": Kind.DESTINATION_UNAVAILABLE,
    "NOAUTH": Kind.PROXY_CONFIGURATION_ERROR,
    "WRONGPASS": Kind.PROXY_CONFIGURATION_ERROR,
    "NOPERM": Kind.PROXY_CONFIGURATION_ERROR,
}
REFUSES_WORK = frozenset({"LOADING", "MASTERDOWN"})
"""Codes by which a server says that it serves nobody at the moment: as good as away."""


class ReplyError(GatewayError):
    """The server understood the command and answered with an error. Nothing is wrong with the connection.

    ``code`` is the first word of the answer: ``WRONGTYPE``, ``OOM``, ``NOSCRIPT``, ``MOVED`` …; ``text`` the whole.
    """

    def __init__(self, text: str) -> None:
        self.code = text.partition(" ")[0]
        self.text = text
        kind = _KINDS.get(self.code, Kind.PROXY_INTERNAL_ERROR)
        source = Source.UPSTREAM if kind is Kind.DESTINATION_UNAVAILABLE else Source.INTERNAL
        super().__init__(kind, text, source=source, retry=Retry.NO)

    def __repr__(self) -> str:
        return f"<ReplyError {self.text!r}>"


def too_large(size: int) -> GatewayError:
    """What stands for a reply that was read and thrown away because of its ``size`` in bytes."""
    return GatewayError(Kind.HTTP_RESPONSE_BODY_SIZE, f"the value has {size} bytes, more than the link takes")


def protocol_error(address: str, reason: str) -> GatewayError:
    """The bytes of ``address`` are no replies: something else listens there, or replies are missing."""
    return GatewayError(
        Kind.HTTP_PROTOCOL_ERROR, f"{address} does not speak the Redis protocol: {reason}", retry=Retry.NO
    )
