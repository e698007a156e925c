"""Filters that tell which of them served, and who was closed."""

import tidegate
from tidegate import Request, ResponseHead, option

__all__ = ["CLOSED", "AsksLate", "Marked", "Refuses"]

CLOSED: list[int] = []


class Marked(tidegate.Filter):
    """Says which object it is."""

    word: str = option("?", "what to say")
    file: str = option("", "a file that belongs to it")

    def on_response(self, request: Request, response: ResponseHead) -> None:
        """Leaves word and identity."""
        response.headers["X-Mark"] = self.word
        response.headers["X-Object"] = str(id(self))

    def close(self) -> None:
        """Is noted."""
        CLOSED.append(id(self))


class Refuses(tidegate.Filter):
    """Is never content."""

    def prepare(self) -> None:
        """Raises."""
        raise ValueError("not today")


class AsksLate(tidegate.Filter):
    """Asks its link and its cache by name when the upstream has answered, and not before."""

    def on_response(self, request: Request, response: ResponseHead) -> None:
        """Leaves the names of what it found."""
        response.headers["X-Link"] = self.redis_links["gone"].name
        response.headers["X-Cache"] = self.caches["gone"].name
