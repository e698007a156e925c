r"""Answers for the upstream: a maintenance page, a path that is gone.

    [filters.maintenance]
    class = "tidegate.filters.fixed_answer:FixedAnswer"
    status = 503
    body = "Back at noon.\n"
    headers = { Retry-After = "3600" }
    unless = { X-Maintenance-Key = "let me in" }

Unlike a route's ``respond`` it stands among other filters (behind an authentication, say) and lets some through.
"""

from collections.abc import Mapping
from typing import Annotated

from tidegate import FieldName, FieldValue, Filter, Request, Response, option

__all__ = ["FixedAnswer"]


class FixedAnswer(Filter):
    """Answers every request, or all but some, in the same way."""

    status: int = option(200, "status of the answer, 200 to 599")
    body: str = option("", "body of the answer")
    headers: Mapping[Annotated[str, FieldName()], Annotated[str, FieldValue()]] = option({}, "fields of the answer")
    unless: Mapping[Annotated[str, FieldName()], Annotated[str, FieldValue()]] = option(
        {}, "fields of a request, any of which with this value lets it through"
    )

    def check_options(self) -> None:
        """The answer is one that can be given."""
        self._answer()

    def prepare(self) -> None:
        """Makes the answer, once."""
        self._made = self._answer()
        self._unless = tuple(self.unless.items())

    def on_request(self, request: Request) -> Response | None:
        """The answer, unless the request is one of those let through."""
        for name, value in self._unless:
            if request.headers.get(name) == value:
                return None
        return self._made

    def _answer(self) -> Response:
        body = self.body or b""
        return Response(self.status, body, self.headers)
