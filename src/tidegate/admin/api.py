"""The admin API: what control answers over TCP to anybody who reaches it, and over its socket to the gateway's user.

Over TCP it is read-only without the token: health, metrics and status. Commands, and whatever looks at or changes the
configuration, go through the unix socket, which only its user can open, or need `server.admin_token`.
"""

from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.routing import Route

from tidegate import __version__
from tidegate.admin.configuration import add_configuration
from tidegate.admin.health import HealthAnswers, health_of
from tidegate.admin.host_guard import HostGuard
from tidegate.admin.peek import add_peek
from tidegate.admin.profile import add_profile
from tidegate.admin.status import status_document
from tidegate.admin.token_guard import TokenGuard
from tidegate.admin.upgrade import add_upgrade
from tidegate.observe.metrics import CONTENT_TYPE
from tidegate.process.view import GatewayView

__all__ = ["make_applications"]

_NO_STORE = {"Cache-Control": "no-store"}


class Health(BaseModel):
    """Whether the gateway lives, or should get traffic."""

    status: str
    reasons: list[str] = Field(default_factory=list, description="Why not; empty when it is well.")


class StopRequest(BaseModel):
    """How to stop."""

    at_once: bool = Field(default=False, description="Cut what is being served instead of draining.")


def make_applications(view: GatewayView) -> tuple[Any, Any]:
    """The application for everybody, and the one for the socket."""
    own_name = view.admin_address.rpartition(":")[0].removeprefix("unix:")
    reading, commands = _reading(view), _reading(view)
    _add_commands(commands, view)
    add_configuration(commands, view)
    add_upgrade(commands, view)
    add_peek(commands, view)
    add_profile(commands, view)
    readable = {route.path for route in reading.routes if isinstance(route, Route)}
    guarded = TokenGuard(reading, readable, commands, lambda: view.snapshot.gateway.server.admin_token)
    return HostGuard(HealthAnswers(guarded, view), own_name), commands


def _reading(view: GatewayView) -> FastAPI:
    # No pages of documentation: they would load scripts from elsewhere.
    api = FastAPI(title="Tidegate admin API", version=__version__, docs_url=None, redoc_url=None)

    @api.head("/health/live", include_in_schema=False)
    @api.get("/health/live", response_model=Health, tags=["health"])
    async def live() -> Response:
        """Control answers, whatever the workers do."""
        return JSONResponse({"status": "live", "reasons": []}, headers=_NO_STORE)

    @api.head("/health/ready", include_in_schema=False)
    @api.get("/health/ready", response_model=Health, tags=["health"])
    async def ready() -> Response:
        """200 when the gateway should get traffic, else 503 with the reasons."""
        status, document = health_of(view)
        return JSONResponse(document, status_code=status, headers=_NO_STORE)

    @api.head("/metrics", include_in_schema=False)
    @api.get("/metrics", response_class=Response, tags=["metrics"])
    async def metrics() -> Response:
        """Everything that is counted, in Prometheus text format."""
        return Response(await view.metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    @api.head("/status", include_in_schema=False)
    @api.get("/status", tags=["status"])
    async def status() -> Response:
        """How the gateway is."""
        return JSONResponse(status_document(view), headers=_NO_STORE)

    return api


def _add_commands(api: FastAPI, view: GatewayView) -> None:
    @api.post("/stop", status_code=202, tags=["commands"])
    async def stop(request: StopRequest) -> dict[str, bool]:
        """Drains the gateway, or ends it at once."""
        return {"accepted": view.ask_to_stop(request.at_once)}

    @api.post("/record", tags=["commands"])
    async def record() -> Response:
        """Writes the last ten minutes to a file, whose path is answered."""
        if view.record is None:
            return JSONResponse({"detail": "this gateway has no flight recorder"}, status_code=503)
        try:
            path = await view.record()
        except OSError as error:
            detail = f"no recording could be written: {error.strerror or error}"
            return JSONResponse({"detail": detail}, status_code=507)
        return JSONResponse({"path": str(path)}, headers=_NO_STORE)
