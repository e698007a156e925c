"""``POST /limits/peek``: what limits would say to a request now, or to a key, changing nothing.

It tells how much of its contract a tenant has used, and whether a key is known: so it is for those who may ask for
commands, over the socket or with the token, though it only reads.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from tidegate.filters.key_auth import Identity, KeyAuth, key_digest
from tidegate.limits.limit import Limit
from tidegate.limits.peek import Peek, most_room, peek
from tidegate.memory.inflight import Inflight
from tidegate.process.view import GatewayView
from tidegate.wire.described import Described
from tidegate.wire.parameters import parameter
from tidegate.wire.view import PathRefusalError

__all__ = ["add_peek"]


class PeekRequest(BaseModel):
    """A request, as far as the keys of limits need to know it, or the value of a key."""

    limits: list[str] = Field(default_factory=list, description="Names of the limits; none: all there are.")
    key: str | None = Field(default=None, description="The value of a key of one part, instead of a request.")
    method: str = "GET"
    url: str = "http://localhost/"
    headers: dict[str, str] = Field(default_factory=dict)
    client_ip: str = "192.0.2.1"
    auth: str = Field(default="", description="The [auth.NAME] that finds out whose key is in the headers.")
    subject: str = Field(default="", description="Who asks, where `auth` does not find it out.")
    tenant: str = ""
    tier: str = ""
    route: str = ""
    upstream: str = ""
    endpoint: str = Field(
        default="", description="The address that a limit of endpoints is asked for; absent: those of the upstream."
    )
    cost: float | None = Field(default=None, ge=0, le=1e12, description="What it takes; absent: what the limit says.")


class Peeks:
    """The limits of the active configuration, as control looks at them."""

    def __init__(self, view: GatewayView) -> None:
        self._view = view
        self._number = 0
        self._limits: dict[str, Limit] = {}

    def limits(self) -> dict[str, Limit]:
        """By name; made anew when another configuration is active."""
        snapshot, region = self._view.snapshot, self._view.region
        if self._number != snapshot.number:
            inflight = Inflight(region.mapping)
            self._limits = {
                # Nobody waits here: without a queue it needs no bell.
                name: Limit(
                    name,
                    dataclasses.replace(settings, queue=0, shares={}),
                    snapshot.places[name],
                    region.mapping,
                    region.secret,
                    inflight,
                    adaptive=None if settings.adaptive is None else region.adaptive(0),
                    now_ns=time.monotonic_ns(),
                )
                for name, settings in snapshot.gateway.limits.items()
                if name in snapshot.places
            }
            self._number = snapshot.number
        return self._limits

    def answer(self, asked: PeekRequest) -> list[dict[str, Any]]:
        """What each limit says; LookupError for a name that is none, ValueError for a request that is none."""
        known = self.limits()
        endpoints = self._endpoints(asked)
        is_told = bool(endpoints or asked.key is not None)
        names = asked.limits or [name for name, limit in known.items() if is_told or not limit.is_of_endpoints]
        for name in names:
            if name not in known:
                raise LookupError(f"no limit is named {name}; there are {', '.join(known) or 'none'}")
            if known[name].is_of_endpoints and not is_told:
                raise ValueError(f"{name} is asked of endpoints: say `endpoint`, `upstream` or a `route` that has one")
        described = Described(asked.method, asked.url, tuple(asked.headers.items()))
        identity = self._identity(asked, described)
        now_ns, wall_ms = time.monotonic_ns(), time.time_ns() // 1_000_000

        def look(name: str, endpoint: str) -> Peek:
            return peek(
                known[name],
                described.head,
                now_ns,
                wall_ms,
                client=asked.client_ip,
                path=described.canonical_path(),
                route=asked.route,
                upstream=asked.upstream,
                endpoint=endpoint,
                subject=identity.subject,
                tenant=identity.tenant,
                tier=identity.tier,
                digest=key_digest(identity),
                cost=None if known[name].settings.kind == "concurrency" else asked.cost,
                key=asked.key,
            )

        return [
            most_room(look(name, one) for one in (endpoints if known[name].is_of_endpoints else ()) or [""])._asdict()
            for name in names
        ]

    def _endpoints(self, asked: PeekRequest) -> list[str]:
        if asked.endpoint:
            return [asked.endpoint]
        gateway = self._view.snapshot.gateway
        route = next((one for one in gateway.routes if one.name == asked.route), None)
        upstream = gateway.upstreams.get(asked.upstream or (route and route.upstream) or "")
        return [] if upstream is None else [one.address for one in upstream.endpoints]

    def _identity(self, asked: PeekRequest, described: Described) -> Identity:
        if not asked.auth:
            return Identity(asked.subject, asked.tenant or asked.subject, asked.tier)
        settings = self._view.snapshot.gateway.auth.get(asked.auth)
        if settings is None:
            raise LookupError(f"there is no [auth.{asked.auth}]")
        value = parameter("header", settings.header.encode("ascii"), described.head, is_only=True)
        found = None if value is None else KeyAuth(asked.auth, settings).identity_of(value)
        if found is None:
            raise ValueError(f"the headers have no key that [auth.{asked.auth}] knows, in {settings.header}")
        return found


def add_peek(api: FastAPI, view: GatewayView) -> None:
    """Adds the look at limits."""
    peeks = Peeks(view)

    @api.post("/limits/peek", tags=["limits"])
    async def look(asked: PeekRequest) -> Response:
        """What limits would say now, changing nothing."""
        try:
            found = peeks.answer(asked)
        except LookupError as error:
            raise HTTPException(404, str(error.args[0])) from None
        except (ValueError, PathRefusalError) as error:
            raise HTTPException(422, str(error)) from None
        return JSONResponse({"limits": found}, headers={"Cache-Control": "no-store"})
