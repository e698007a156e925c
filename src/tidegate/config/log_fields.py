"""The fields of the access log: names, types and meaning, declared once for the line, the manual and the check."""

from __future__ import annotations

import re
from typing import NamedTuple


class LogField(NamedTuple):
    """One field; ``absent`` says when a JSON line leaves it out and a format string writes "-"."""

    name: str
    type: str
    meaning: str
    absent: str


FIELDS = tuple(
    LogField(*row)
    for row in (
        ("ts", "string", "when the request's first byte was read, RFC 3339, UTC, microseconds", "never"),
        ("event", "string", "`upgrade_opened` or `upgrade_closed`: the two lines of an upgraded connection", "else"),
        ("request_id", "string", "`X-Request-ID` as sent to the upstream", "it has none"),
        ("client", "string", "address of the client, behind trusted proxies the one they name", "never"),
        ("method", "string", "request method", "no request line was understood"),
        ("target", "string", "request target as the client sent it", "no request line was understood"),
        ("host", "string", "authority the request is for", "there was none"),
        ("protocol", "string", "`HTTP/1.0` or `HTTP/1.1`", "never"),
        (
            "status",
            "integer",
            "status answered; if there was none: 499 when the client left, 504 when the gateway ended",
            "never",
        ),
        ("bytes_in", "integer, bytes", "body of the request as read from the client", "never"),
        ("bytes_out", "integer, bytes", "body of the response as sent to the client", "never"),
        ("duration_ms", "decimal, milliseconds", "from the request's first byte to the end of the exchange", "never"),
        (
            "upstream_ms",
            "decimal, milliseconds",
            "from handing the request over to the end of the answer's head",
            "nothing was sent to an upstream",
        ),
        ("connect_ms", "decimal, milliseconds", "opening the connection to the upstream", "a connection was reused"),
        ("route", "string", "name of the route", "none matched"),
        ("upstream", "string", "name of the upstream", "the exchange went to none"),
        ("endpoint", "string", "peer really used", "no connection was used"),
        ("upstream_status", "integer", "status the upstream answered", "no answer came"),
        ("attempts", "integer", "connections tried", "none was"),
        ("error", "string", "RFC 9209 kind, when the gateway made the answer or cut the exchange", "all went well"),
        ("detail", "string", "what exactly: name of the refusal, of the filter …", "there is nothing to add"),
        ("limit", "string", "name of the limit that refused it", "none did"),
        ("connection", "integer", "the client's connection, counted within its worker", "never"),
        ("connection_uses", "integer", "exchanges on that connection so far, this one included", "never"),
        ("upstream_connection", "integer", "connection to the upstream, counted within its worker", "none was used"),
        (
            "upstream_connection_uses",
            "integer",
            "exchanges on that connection so far, this one included",
            "none was used",
        ),
        ("tls", "boolean", "`true` when the client came over TLS", "it did not"),
        ("user_agent", "string", "User-Agent", "not sent"),
        ("referer", "string", "Referer", "not sent"),
        ("peer", "string", "address of the other end of the client's connection: a proxy or the client", "never"),
        ("client_port", "integer", "port of the other end of the client's connection", "a unix socket"),
    )
)
"""Every field of the access log, in the order of the default line."""

DEFAULT_FIELDS = tuple(field.name for field in FIELDS if field.name not in ("protocol", "peer", "client_port"))
"""What a JSON line has when ``fields`` is not configured."""

FORMAT_ONLY = {
    "time_combined": "the time as the common log format has it: `21/Nov/2026:22:00:00 +0000`",
    "request": "method, target and protocol: the request line",
    "extra": "what filters put into `exchange.log`, as a JSON object",
}
"""Names for format strings besides the fields."""

COMBINED = '{client} - - [{time_combined}] "{request}" {status} {bytes_out} "{referer}" "{user_agent}"'
"""The format that ``format = "combined"`` stands for."""

_NAME = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def split_format(text: str) -> list[tuple[str, str]]:
    """A format string as (literal, name of the value behind it); name "" at the end. ``{{`` and ``}}`` are braces.

    Raises ``ValueError`` that names the first piece nobody knows.
    """
    known = {field.name for field in FIELDS} | FORMAT_ONLY.keys()
    pieces: list[tuple[str, str]] = []
    literal = ""
    at = 0
    for match in _NAME.finditer(text):
        literal += text[at : match.start()]
        at = match.end()
        found = match.group()
        if found in ("{{", "}}"):
            literal += found[0]
        elif match.group(1) in known:
            pieces.append((literal, match.group(1)))
            literal = ""
        else:
            names = ", ".join(sorted(known))
            raise ValueError(f"{found!r} in the access log format is no field; expected one of {names}")
    pieces.append((literal + text[at:], ""))
    if any(ord(c) < 32 or ord(c) == 127 for literal, _ in pieces for c in literal):
        raise ValueError("the access log format has a control character: a record is one line")
    return pieces


def check_fields(names: list[str] | tuple[str, ...]) -> None:
    """Raises ``ValueError`` for a field nobody knows, or one given twice."""
    known = [field.name for field in FIELDS]
    for name in names:
        if name not in known:
            raise ValueError(f"{name!r} is no field of the access log; expected one of {', '.join(known)}")
    if len(set(names)) != len(names):
        raise ValueError("a field of the access log is given twice")
