"""Names of header fields, as rules compare them; and the fields that are no configuration's to touch."""

__all__ = ["GATEWAYS_OWN", "same_field"]

GATEWAYS_OWN = frozenset(
    {"connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Framing and what RFC 9110, 7.6.1 keeps between two neighbours: the gateway sets them, for each of its connections."""


def same_field(name: str) -> str:
    """What two names of one field have in common: case does not matter, and many servers take ``_`` for ``-``."""
    return name.lower().replace("_", "-")
