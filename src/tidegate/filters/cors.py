r"""CORS: what a browser asks before it lets a page of one origin read the answers of another (Fetch standard, 3.2).

    [filters.cors]
    class = "tidegate.filters.cors:Cors"
    origins = ["https://app.example.com", "https://*.example.org", "~https://pr-[0-9]+\\.example\\.dev"]
    methods = ["GET", "POST", "PUT"]
    headers = ["Content-Type", "X-Tenant"]
    expose = ["X-Request-ID"]
    credentials = true
    max_age = "1h"

Put it first among a route's filters, so that it also marks the answers of the others (a page shall be able to read a
401), and let the route take OPTIONS. The gateway has the say: CORS fields of the upstream are replaced.
"""

import re
from typing import Annotated

import re2

from tidegate import Duration, FieldName, Filter, Headers, Request, Response, ResponseHead, option, required

__all__ = ["Cors"]

_OURS = (
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Credentials",
    "Access-Control-Expose-Headers",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Max-Age",
)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|(?:\*\.)?[a-z0-9._-]+)(?::[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_ASKS_METHOD = "Access-Control-Request-Method"
_ASKS_HEADERS = "Access-Control-Request-Headers"


class Cors(Filter):
    """Answers preflights, and says on every answer who may read it."""

    origins: tuple[str, ...] = required(
        'who may read answers: "https://app.example.com", "https://*.example.com" for every name below, "~regex" '
        '(RE2, of the whole origin), "null", or "*" for everybody'
    )
    methods: tuple[str, ...] = option(("GET", "HEAD", "POST"), 'methods a page may use; ["*"]: any')
    headers: tuple[Annotated[str, FieldName()], ...] = option(
        (), 'request fields a page may set beside the harmless ones; ["*"]: any'
    )
    expose: tuple[Annotated[str, FieldName()], ...] = option(
        (), "answer fields a page may read beside the harmless ones"
    )
    credentials: bool = option(False, "whether cookies and Authorization may go along")
    max_age: Annotated[float, Duration(shortest=0.0)] = option(600.0, "how long a browser may believe a preflight")

    def check_options(self) -> None:
        """Origins are such, and nobody gives everybody's pages the user's cookies."""
        for origin in self.origins:
            if origin in ("*", "null"):
                continue
            if origin.startswith("~"):
                _regex(origin[1:])
            elif _ORIGIN.fullmatch(origin) is None:
                raise ValueError(
                    f'"{origin}" is no origin: write it as browsers do, "https://app.example.com", in lower case, with '
                    f"the port if it is not the usual one, and without a path"
                )
            else:
                port = _DEFAULT_PORTS.get(origin.partition(":")[0])
                if port is not None and origin.endswith(port):
                    raise ValueError(f'browsers leave the usual port out: write "{origin.removesuffix(port)}"')
        for method in self.methods:
            if method != method.upper() or not method.replace("-", "").replace("*", "A").isalnum():
                raise ValueError(f'"{method}" is no method; they are written in capitals')
        if self.credentials and "*" in self.expose:
            raise ValueError('with credentials "*" is the name of a field for browsers: name those to be exposed')
        if self.credentials and "*" in self.origins:
            raise ValueError('with credentials the origins have to be named: "*" would let any page act for the user')

    def prepare(self) -> None:
        """Sorts the origins by how they are compared, and joins the lists."""
        self._everybody = "*" in self.origins
        self._exact = frozenset(one for one in self.origins if "*" not in one and not one.startswith("~"))
        patterns = [one[1:] for one in self.origins if one.startswith("~")]
        patterns += [
            re.escape(one).replace(r"\*", "[a-z0-9._-]+")
            for one in self.origins
            if "*." in one and not one.startswith("~")
        ]
        self._patterns = tuple(_regex(pattern) for pattern in patterns)
        self._any_method = "*" in self.methods
        self._any_header = "*" in self.headers
        self._methods = ", ".join(self.methods)
        self._headers = ", ".join(self.headers)
        self._expose = ", ".join(self.expose)
        self._max_age = str(int(self.max_age))

    def on_request(self, request: Request) -> Response | None:
        """Answers a preflight; everything else goes on."""
        if request.method != "OPTIONS" or _ASKS_METHOD not in request.headers:
            return None
        origin = request.headers.get("origin")
        if origin is None:
            return None
        vary = f"Origin, {_ASKS_METHOD}, {_ASKS_HEADERS}"
        if not self._allows(origin):
            return Response.problem(403, "This origin may not read answers", origin, headers={"Vary": vary})
        # With credentials "*" would be the name of a method, and of a field: what was asked for is said instead.
        asked = request.headers.get(_ASKS_HEADERS, "")
        fields = {
            "Access-Control-Allow-Origin": self._shown(origin),
            "Access-Control-Allow-Methods": request.headers[_ASKS_METHOD] if self._any_method else self._methods,
            "Access-Control-Max-Age": self._max_age,
            "Vary": vary,
        }
        allowed = asked if self._any_header else self._headers
        if allowed:
            fields["Access-Control-Allow-Headers"] = allowed
        if self.credentials:
            fields["Access-Control-Allow-Credentials"] = "true"
        request.store[_DONE] = True
        return Response(204, b"", fields)

    def on_response(self, request: Request, response: ResponseHead) -> None:
        """Says who may read the answer."""
        if _DONE in request.store:
            return
        headers = response.headers
        for name in _OURS:
            del headers[name]
        if not self._everybody:
            _vary_by_origin(headers)
        origin = request.headers.get("origin")
        if origin is None or not self._allows(origin):
            return
        headers["Access-Control-Allow-Origin"] = self._shown(origin)
        if self.credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        if self._expose:
            headers["Access-Control-Expose-Headers"] = self._expose

    def _allows(self, origin: str) -> bool:
        if self._everybody or origin in self._exact:
            return True
        return any(pattern.fullmatch(origin) is not None for pattern in self._patterns)

    def _shown(self, origin: str) -> str:
        return "*" if self._everybody else origin


_DONE = "tidegate.filters.cors"


def _regex(text: str) -> "re2._Regexp[str]":
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise ValueError(f'RE2 does not take the regex "{text}": {reason}') from error


def _vary_by_origin(headers: Headers) -> None:
    known = {name.strip().lower() for line in headers.get_all("vary") for name in line.split(",")}
    if not known & {"origin", "*"}:
        headers.add("Vary", "Origin")
