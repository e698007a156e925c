"""``POST /profile`` on the socket: looks into workers, or at how loops were held; ``POST /profile/end`` ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

from tidegate.process.measurement import Measurement, MeasurementError
from tidegate.process.view import GatewayView

__all__ = ["EndRequest", "ProfileRequest", "Profiles", "add_profile"]

_LOOK_S = 0.2
_LONGEST_S = 600.0


class ProfileRequest(BaseModel):
    """What is measured, of whom, and for how long."""

    kind: Literal["heap", "allocations", "blocked"]
    workers: list[int] = Field(default_factory=list, description="Their numbers; none: all. `blocked` is of all.")
    seconds: float = Field(default=0.0, ge=0, le=_LONGEST_S, description="`heap` with 0: only as it is now.")
    attempt: str = Field(default="", max_length=64, description="A name for it, by which it can be ended.")


class EndRequest(BaseModel):
    """Which attempt has been long enough."""

    attempt: str


class Profiles:
    """Those that are under way, by the names of their attempts."""

    def __init__(self, view: GatewayView) -> None:
        self._view = view
        self._under_way: dict[str, list[Measurement]] = {}

    async def run(self, order: ProfileRequest, is_gone: Callable[[], Awaitable[bool]]) -> dict[str, Any]:
        """Measures and returns what each worker answered; one that does not is told as an error beside the others.

        Args:
            order: What.
            is_gone: Whether nobody waits for the answer any more: that ends it.

        Raises:
            LookupError: there is no such worker, or an attempt of that name is under way.
        """
        workers = self._view.region.workers
        # Of an upgrade's two generations, the one that a measurement goes to.
        known = {one.mark.slot % workers: one.mark.pid for one in self._view.workers() if not one.told.drains_until_s}
        wanted = [0] if order.kind == "blocked" else order.workers or sorted(known)
        if unknown := [one for one in wanted if one not in known]:
            raise LookupError(f"there is no worker {unknown[0]}; there are {', '.join(map(str, sorted(known)))}")
        if order.attempt in self._under_way:
            raise LookupError(f"an attempt named {order.attempt!r} is under way")
        send = self._view.ask_to_measure
        measurements = [Measurement(order.kind, one, order.seconds, send) for one in wanted]
        self._under_way[order.attempt] = measurements
        asking = asyncio.gather(*map(_answer, measurements))
        try:
            while not asking.done() and not await is_gone():
                await asyncio.wait([asking], timeout=_LOOK_S)
            answers = asking.result() if asking.done() else []
        finally:
            asking.cancel()
            del self._under_way[order.attempt]
            for one in measurements:
                one.close()  # ends what is measured still
        return {
            "workers": [
                {"worker": worker, "pid": known[worker], **answer}
                for worker, answer in zip(wanted, answers, strict=False)
            ]
        }

    def end(self, attempt: str) -> bool:
        """Lets what was measured so far be the answer; False when there is no such attempt."""
        for one in self._under_way.get(attempt, ()):
            one.end_now()
        return attempt in self._under_way


async def _answer(measurement: Measurement) -> dict[str, Any]:
    try:
        found: dict[str, Any] = await measurement.answer()
    except MeasurementError as error:
        return {"error": str(error)}
    return found


def add_profile(api: FastAPI, view: GatewayView) -> None:
    """Adds the commands to the socket's application."""
    profiles = Profiles(view)

    @api.post("/profile", tags=["commands"])
    async def profile(order: ProfileRequest, request: Request) -> dict[str, Any]:
        """Measures, and answers when that is over; whoever asked and is gone ends it."""
        try:
            return await profiles.run(order, request.is_disconnected)
        except LookupError as error:
            raise HTTPException(409, str(error)) from None

    @api.post("/profile/end", tags=["commands"])
    async def end(order: EndRequest) -> dict[str, bool]:
        """Lets what was measured so far be the answer."""
        return {"ended": profiles.end(order.attempt)}
