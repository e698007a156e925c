"""Text with values of an exchange in it: ``"{client.ip} on {route}"``.

Read once, when the filter is prepared, into constants and small functions; filling in is a join. Braces are doubled
where they are meant as such.
"""

import re
from collections.abc import Callable

from tidegate import Request, ResponseHead

__all__ = ["NAMES", "Text"]

Value = Callable[[Request, ResponseHead | None], str]

NAMES: dict[str, Value] = {
    "client.ip": lambda request, _: request.client_ip,
    "request.id": lambda request, _: request.id,
    "route": lambda request, _: request.route,
    "upstream": lambda request, _: request.upstream or "",
    "host": lambda request, _: request.host,
    "method": lambda request, _: request.method,
    "scheme": lambda request, _: request.scheme,
    "path": lambda request, _: request.path,
    "query": lambda request, _: f"?{request.query_string}" if request.query_string else "",
}
"""What stands for itself; beside these there are ``captures.NAME``, ``headers.NAME`` and, in answers, ``status``."""

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Text:
    """A text with placeholders.

    Raises ValueError that names the first one that nobody knows; has_status: whether ``{status}`` is known.
    """

    def __init__(self, text: str, *, has_status: bool = False) -> None:
        self.text = text
        self._parts: list[str | Value] = []
        at, literal = 0, ""
        for match in _PIECE.finditer(text):
            literal += text[at : match.start()]
            at = match.end()
            piece = match.group()
            if piece in ("{{", "}}"):
                literal += piece[0]
                continue
            value = _value(match.group(1), has_status=has_status)
            if value is None:
                known = ", ".join([*NAMES, "captures.NAME", "headers.NAME", *(["status"] if has_status else [])])
                raise ValueError(f'{piece} in "{text}" is nothing that can be filled in; expected one of {known}')
            self._parts += [literal, value] if literal else [value]
            literal = ""
        literal += text[at:]
        self.constant = literal if not self._parts else None
        if literal or not self._parts:
            self._parts.append(literal)

    def fill(self, request: Request, response: ResponseHead | None = None) -> str:
        """The text for one exchange; what an exchange does not have (a header, a capture) is empty."""
        if self.constant is not None:
            return self.constant
        return "".join([part if isinstance(part, str) else part(request, response) for part in self._parts])

    def __repr__(self) -> str:
        return f"<Text {self.text!r}>"


def _value(name: str | None, *, has_status: bool) -> Value | None:
    if not name:
        return None
    if name == "status" and has_status:
        return lambda _, response: "" if response is None else str(response.status)
    kind, dot, rest = name.partition(".")
    if kind == "captures" and rest:
        return lambda request, _: request.captures.get(rest, "")
    if kind == "headers" and dot and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", rest):
        return lambda request, _: request.headers.get(rest, "")
    return NAMES.get(name)
