"""Tells the upstream a price that is dear to find out, and finds it out once.

A thousand requests for a price that nobody knows yet are one question to the service of prices. While it is asked
again, or does not answer, the price that was known goes on being told.
"""

import asyncio
import json
from typing import Annotated

from tidegate import Duration, Filter, Loaded, Request, Response, option, required
from tidegate.errors import GatewayError


class Prices(Filter):
    """Sets a field to the price of what is asked for."""

    service: str = required("host and port of the service of prices")
    field: str = option("X-Price", "name of the field to set")
    timeout: Annotated[float, Duration()] = option(0.2, "how long a request waits for its price")

    async def on_request(self, request: Request) -> Response | None:
        """Waits only when nothing is known of the price."""
        try:
            price = await self.caches["prices"].get(request.path, self.find_out, timeout=self.timeout)
        except (GatewayError, OSError):
            return Response.problem(503, "The price cannot be found out", headers={"Retry-After": "1"})
        if price is None:
            return Response.problem(404, "There is no such thing")
        request.headers[self.field] = price
        return None

    async def find_out(self, path: str) -> Loaded | None:
        """Asks the service, which says how long its price holds; None: it has none."""
        host, _, port = self.service.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(path.encode() + b"\n")
            found = json.loads(await reader.readline())
        finally:
            writer.close()
        return None if found is None else Loaded(found["price"], ttl=found["holds_s"], tags=("prices",))
