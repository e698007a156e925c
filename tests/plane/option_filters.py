"""Filters for tests of options."""

import tidegate
from tidegate import Request, ResponseHead, option

__all__ = ["Appends"]


class Appends(tidegate.Filter):
    """Leaves a mark behind those of the filters before it."""

    mark: str = option("?", "what to append")

    def on_request(self, request: Request) -> None:
        """On the way there."""
        request.headers["X-Marks"] = request.headers.get("X-Marks", "") + self.mark

    def on_response(self, request: Request, response: ResponseHead) -> None:
        """On the way back."""
        response.headers["X-Marks"] = response.headers.get("X-Marks", "") + self.mark
