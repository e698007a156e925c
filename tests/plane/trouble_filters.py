"""A filter that needs a value of its cache, which it can fetch without anybody."""

import tidegate
from tidegate import Request, option

__all__ = ["Cached"]


class Cached(tidegate.Filter):
    """Asks its cache for a value under the path of the request."""

    cache: str = option("values", "which cache")

    async def on_request(self, request: Request) -> None:
        """Waits for the value; what cannot be had fails the request."""
        value = await self.caches[self.cache].get(request.path, self.load)
        assert value == b"value of " + str(request.path).encode()

    async def load(self, key: str) -> bytes:
        """The origin, which is always there."""
        return b"value of " + key.encode()
