"""Header fields set, added and removed, with values from the exchange.

    [filters.tell]
    class = "tidegate.filters.header_changes:HeaderChanges"
    request.set = { X-Client = "{client.ip}", X-Tenant = "{captures.tenant}" }
    response.set = { X-Request-ID = "{request.id}" }
    response.remove = ["Server"]

A route has ``request_headers`` and ``response_headers`` of its own, which cost less and know constants only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from tidegate import FieldName, FieldValue, Filter, Headers, Request, ResponseHead, Section, option
from tidegate.filters.placeholders import Text

__all__ = ["Changes", "HeaderChanges"]

Name = Annotated[str, FieldName()]
Value = Annotated[str, FieldValue()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes(Section):
    """Changes to one head, in this order: ``remove``, ``set``, ``add``."""

    remove: tuple[Name, ...] = ()
    set: Mapping[Name, Value] = field(default_factory=dict)
    add: Mapping[Name, Value] = field(default_factory=dict)


class HeaderChanges(Filter):
    """Sets, adds and removes header fields."""

    request: Changes = option(Changes(), "what is changed on the way to the upstream, values as in `response`")
    response: Changes = option(
        Changes(),
        "what is changed on the way to the client; values may have {client.ip}, {request.id}, {route}, {upstream}, "
        "{host}, {method}, {scheme}, {path}, {query}, {captures.NAME}, {headers.NAME} of the request, and {status}",
    )

    def check_options(self) -> None:
        """Every placeholder is one."""
        _Compiled(self.request, has_status=False)
        _Compiled(self.response, has_status=True)

    def prepare(self) -> None:
        """Reads the placeholders."""
        self._request = _Compiled(self.request, has_status=False)
        self._response = _Compiled(self.response, has_status=True)

    def on_request(self, request: Request) -> None:
        """Changes what the upstream gets."""
        self._request.apply(request.headers, request, None)

    def on_response(self, request: Request, response: ResponseHead) -> None:
        """Changes what the client gets."""
        self._response.apply(response.headers, request, response)


class _Compiled:
    def __init__(self, changes: Changes, *, has_status: bool) -> None:
        self.remove = changes.remove
        self.set = [(name, Text(value, has_status=has_status)) for name, value in changes.set.items()]
        self.add = [(name, Text(value, has_status=has_status)) for name, value in changes.add.items()]

    def apply(self, headers: Headers, request: Request, response: ResponseHead | None) -> None:
        # All values first: a change must not show in the next one's value.
        put = [(name, value.fill(request, response)) for name, value in self.set]
        added = [(name, value.fill(request, response)) for name, value in self.add]
        for name in self.remove:
            del headers[name]
        for name, text in put:
            headers[name] = text
        for name, text in added:
            headers.add(name, text)
