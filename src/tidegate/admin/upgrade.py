"""``POST /upgrade`` on the socket: another program takes over; ``/status`` says how far it is."""

from fastapi import FastAPI
from pydantic import BaseModel, Field

from tidegate.process.messages import UpgradeAsked
from tidegate.process.program import Program
from tidegate.process.view import GatewayView

__all__ = ["UpgradeRequest", "add_upgrade"]


class UpgradeRequest(BaseModel):
    """Which program is to take over."""

    attempt: str = Field(
        description="A name for it, under which `upgrades` of /status tells how it goes.", max_length=64
    )
    python: str = Field(description="Its interpreter, as an absolute path.")
    python_path: list[str] = Field(description="Where its processes look for modules: filters, for example.")
    environment_path: str | None = Field(default=None, description="PYTHONPATH while they start.")


def add_upgrade(api: FastAPI, view: GatewayView) -> None:
    """Adds the command to the socket's application."""

    @api.post("/upgrade", status_code=202, tags=["commands"])
    async def upgrade(request: UpgradeRequest) -> dict[str, bool]:
        """Begins to start another program beside this one."""
        program = Program(request.python, request.python_path, request.environment_path)
        return {"accepted": view.ask_to_upgrade(UpgradeAsked(attempt=request.attempt, program=program))}
