"""Where a request presents its token, and what can be one.

A token is a credential that speaks for itself: a session's id, a JWT. It stands in a header field, behind a scheme
where one is asked for (RFC 6750, 2.1), or in a cookie; the field comes first. What two servers could read differently
is no token: a field that is there twice, a cookie that is (one may have been planted by another host of the domain,
RFC 6265, 8.6), and anything but visible ASCII.
"""

from enum import Enum

from tidegate import Request

__all__ = ["UNTOUCHABLE", "Flaw", "TokenPlace"]

UNTOUCHABLE = frozenset(
    {
        *("connection", "content-length", "cookie", "host", "keep-alive", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
    }
)
"""Fields that cannot have a token or say who somebody is: a request needs them for something else."""


class Flaw(Enum):
    """Why a request has no token that could be looked at; the value is what logs and answers call it."""

    MISSING = "token_missing"
    REPEATED = "token_repeated"
    MALFORMED = "token_malformed"
    TOO_LONG = "token_too_long"


_MISSING = Flaw.MISSING  # found at once: a member is looked for in its class by code


class TokenPlace:
    """Takes the token out of a request.

    Args:
        header: Name of the field; None: tokens come in the cookie only.
        scheme: What stands before it there, without regard to case; None: nothing.
        cookie: Name of the cookie; None: tokens come in the field only.
        longest: Characters that a token may have.
    """

    __slots__ = ("_cookie", "_header", "_longest", "_scheme")

    def __init__(self, header: str | None, scheme: str | None, cookie: str | None, longest: int) -> None:
        self._header = header
        self._scheme = "" if scheme is None else f"{scheme.lower()} "
        self._cookie = cookie
        self._longest = longest

    def find(self, request: Request) -> str | Flaw:
        """The token that ``request`` presents, or what is wrong."""
        found: str | Flaw = _MISSING
        if self._header is not None:
            values = request.headers.get_all(self._header)
            if len(values) == 1:
                found = self._in_field(values[0])
            elif values:
                return Flaw.REPEATED
        if found is _MISSING and self._cookie is not None:
            found = _in_cookies(request.headers.get_all("cookie"), self._cookie)
        if isinstance(found, Flaw):
            return found
        if len(found) > self._longest:
            return Flaw.TOO_LONG
        return found if found.isascii() and found.isprintable() and " " not in found else Flaw.MALFORMED

    def strip(self, request: Request) -> None:
        """Takes away every field and cookie that could have a token: it is nobody's business behind the gateway."""
        headers = request.headers
        if self._header is not None:
            del headers[self._header]
        if self._cookie is None or not (lines := headers.get_all("cookie")):
            return
        pairs = [pair for line in lines for pair in line.split(";")]
        kept = [pair.strip(" \t") for pair in pairs if _name_of(pair) != self._cookie]
        if not any(kept):
            del headers["cookie"]
        elif len(kept) < len(pairs):
            headers["Cookie"] = "; ".join(kept)

    def _in_field(self, value: str) -> str | Flaw:
        scheme = self._scheme
        if not scheme:
            return value or _MISSING
        if value[: len(scheme)].lower() != scheme:
            return _MISSING  # the field is for other schemes as well
        return value[len(scheme) :].lstrip(" ") or _MISSING

    def __repr__(self) -> str:
        places = [] if self._header is None else [f"field {self._header}"]
        places += [] if self._cookie is None else [f"cookie {self._cookie}"]
        return f"<TokenPlace {' or '.join(places)}>"


def _in_cookies(lines: list[str], name: str) -> str | Flaw:
    found = [
        pair.partition("=")[2].strip(" \t")
        for line in lines
        if name in line
        for pair in line.split(";")
        if _name_of(pair) == name
    ]
    if len(found) > 1:
        return Flaw.REPEATED
    return (found[0] or _MISSING) if found else _MISSING


def _name_of(pair: str) -> str:
    return pair.partition("=")[0].strip(" \t")
