"""Names of header fields, as rules compare them; fields that are no configuration's to touch; names that fields say."""

import re

from tidegate.config.findings import Path
from tidegate.config.rules.subject import Subject

__all__ = ["GATEWAYS_OWN", "check_said", "same_field"]

_SAID = re.compile(r"[A-Za-z0-9_.-]{1,64}")

GATEWAYS_OWN = frozenset(
    {"connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Framing and what RFC 9110, 7.6.1 keeps between two neighbours: the gateway sets them, for each of its connections."""


def same_field(name: str) -> str:
    """What two names of one field have in common: case does not matter, and many servers take ``_`` for ``-``."""
    return name.lower().replace("_", "-")


def check_said(subject: Subject, path: Path, name: str) -> None:
    """A name that answers say: as a token (RFC 9110, 5.6.2) and as a string (RFC 9651, 3.3.3) it needs no escapes."""
    if _SAID.fullmatch(name) is None:
        subject.find(path, 'is said in answers: a name of up to 64 letters and digits of ASCII, "_", "-" and "."')
