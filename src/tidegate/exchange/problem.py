"""Answers that the gateway makes itself: problem details (RFC 9457) with Proxy-Status (RFC 9209).

``type`` is ``urn:tidegate:`` and a name that does not change: for what a client did, the name of the refusal, which
``Proxy-Status`` has as the details of ``http_request_error``; for what failed on the way, the kind of RFC 9209, which
``Proxy-Status`` repeats with the next hop. An answer of the upstream never has either.
"""

from tidegate.errors import STATUS, Kind
from tidegate.exchange.views import Response

__all__ = ["PLAIN_HTTP_TO_TLS", "problem", "problem_for"]

_PLAIN_TEXT = b"This port speaks HTTPS, and the request came without TLS.\n"
PLAIN_HTTP_TO_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
    % (len(_PLAIN_TEXT), _PLAIN_TEXT)
)
"""What a client reads that sent a request in clear to a port of TLS: whole, since there is no exchange to answer."""

TITLES = {
    "no_route": "No route matches this request",
    "method_not_allowed": "The route does not take this method",
    "limit_key_missing": "The request lacks what a limit tells requests apart by",
    "key_missing": "The request has no key",
    "key_unknown": "The key is not known",
    "key_repeated": "The request has several keys",
    "body_too_large": "The request body is larger than allowed",
    "head_timeout": "The request head did not arrive in time",
    "request_body_timeout": "The request body did not arrive in time",
    Kind.DNS_ERROR: "The upstream's name could not be resolved",
    Kind.DESTINATION_UNAVAILABLE: "No server of the upstream is available",
    Kind.CONNECTION_REFUSED: "The upstream refused the connection",
    Kind.CONNECTION_TIMEOUT: "The upstream could not be connected in time",
    Kind.CONNECTION_TERMINATED: "The upstream closed the connection without an answer",
    Kind.CONNECTION_LIMIT_REACHED: "The upstream has no room for another request",
    Kind.HTTP_RESPONSE_TIMEOUT: "The upstream did not answer in time",
    Kind.HTTP_RESPONSE_INCOMPLETE: "The upstream's answer ended too early",
    Kind.HTTP_PROTOCOL_ERROR: "The upstream's answer is not valid HTTP",
    Kind.GATEWAY_EXHAUSTED: "The gateway has run out of ports, descriptors or memory",
    Kind.PROXY_INTERNAL_ERROR: "The gateway failed",
}


def problem(status: int, name: str, request_id: str, headers: dict[str, str] | None = None) -> Response:
    """The answer to a request that the gateway does not take."""
    title = TITLES.get(name) or name.replace("_", " ").capitalize()
    fields = {"Proxy-Status": f"tidegate; error={Kind.HTTP_REQUEST_ERROR.value}; details={_quoted(name)}"}
    fields.update(headers or {})
    return Response.problem(status, title, type=f"urn:tidegate:{name}", headers=fields, request_id=request_id)


def problem_for(kind: Kind, detail: str | None, request_id: str, next_hop: str, status: int = 0) -> Response:
    """The answer to a request that could not be served; ``status`` 0: the one that RFC 9209 recommends."""
    status = status or STATUS[kind]
    proxy_status = f"tidegate; error={kind.value}"
    if detail:
        proxy_status += f"; details={_quoted(detail)}"
    if next_hop:
        proxy_status += f"; next-hop={_quoted(next_hop)}"
    title = TITLES.get(kind) or kind.value.replace("_", " ").capitalize()
    return Response.problem(
        status,
        title,
        detail or None,
        f"urn:tidegate:{kind.value}",
        {"Proxy-Status": proxy_status},
        request_id=request_id,
    )


def _quoted(text: str) -> str:
    """``text`` as an sf-string (RFC 8941 section 3.3.3): printable ASCII in quotes."""
    printable = "".join(c if " " <= c <= "~" else "?" for c in text[:200])
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'
