"""Sends clients elsewhere, under conditions.

    [filters.to_tls]
    class = "tidegate.filters.redirect:Redirect"
    to = "https://{host}{path}{query}"
    scheme = "http"                        # only who came without TLS

    [filters.one_name]
    class = "tidegate.filters.redirect:Redirect"
    to = "https://www.example.com{path}{query}"
    hosts = ["example.com", "example.org"]

A route has a ``redirect`` of its own; this one stands among other filters, on routes that do something else as well. A
request that is where it would be sent to goes on, so that nobody is sent in a circle.
"""

from typing import Literal

from tidegate import Filter, Request, Response, option, required
from tidegate.filters.placeholders import Text

__all__ = ["Redirect"]


class Redirect(Filter):
    """Answers with the place to go to."""

    to: str = required(
        "where to: a path or a whole URL, which may have {scheme}, {host}, {path}, {query} (with its ?), "
        "{captures.NAME} and the like"
    )
    status: Literal[301, 302, 303, 307, 308] = option(308, "308 and 307 keep the method, 301 and 308 are remembered")
    scheme: Literal["http", "https"] | None = option(None, "only requests that came so; absent: either way")
    hosts: tuple[str, ...] = option((), "only requests for one of these hosts, a port apart; none: any")

    def check_options(self) -> None:
        """``to`` is a place."""
        text = Text(self.to)
        if text.constant == "" or not self.to.startswith(("/", "http://", "https://", "{")):
            raise ValueError(f'to is a path or a URL such as "https://{{host}}{{path}}{{query}}", not "{self.to}"')
        if self.to.startswith("//") or any(c <= " " or c == "\x7f" for c in self.to):
            raise ValueError(f'"{self.to}" is no path and no whole URL')

    def prepare(self) -> None:
        """Reads the placeholders."""
        self._to = Text(self.to)
        self._hosts = frozenset(host.lower() for host in self.hosts)

    def on_request(self, request: Request) -> Response | None:
        """The redirect, if the request is one of those meant and not there already."""
        if self.scheme is not None and request.scheme != self.scheme:
            return None
        host = request.host
        if self._hosts and _without_port(host).lower() not in self._hosts:
            return None
        place = self._to.fill(request)
        here = f"{request.path}?{request.query_string}" if request.query_string else request.path
        if place in (here, f"{request.scheme}://{host}{here}"):
            return None
        return Response.redirect(place, self.status)


def _without_port(host: str) -> str:
    if host.endswith("]"):
        return host
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
