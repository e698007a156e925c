"""``/config``: the active configuration, changing it, trying one, its history, and going back.

Whoever reaches this may change what the gateway does, so it is served over the unix socket and to who has the token.
What is shown has digests in place of secrets; what is sent back may keep them.
"""

from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from tidegate.config.load import LARGEST
from tidegate.config.source import Text
from tidegate.process.reloader import Outcome, Reloader, Stale
from tidegate.process.view import GatewayView

__all__ = ["add_configuration"]

_STATUS = {"active": 200, "unchanged": 200, "valid": 200, "invalid": 422, "not_published": 503}
_NO_STORE = {"Cache-Control": "no-store"}
_YAML = {"application/yaml", "application/x-yaml", "text/yaml", "application/json"}  # JSON is YAML
_TOML = {"application/toml", "text/plain", ""}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string"}} for kind in ("application/toml", "application/json")},
    }
}


class RollBack(BaseModel):
    """Where to go back to."""

    number: int = Field(description="Number of a configuration in the history.", ge=1)


class _Refused(Exception):
    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.answer = JSONResponse({"detail": detail, **more}, status_code=status, headers=_NO_STORE)


def add_configuration(api: FastAPI, view: GatewayView) -> None:
    """Adds the commands that look at the configuration and change it."""

    @api.exception_handler(_Refused)
    async def refuse(request: Request, refused: _Refused) -> Response:  # noqa: ARG001 - as FastAPI calls it
        return refused.answer

    def reloader() -> Reloader:
        if view.reloader is None:
            raise _Refused(503, "this gateway's configuration cannot be changed")
        return view.reloader

    def answer(outcome: Outcome) -> Response:
        headers = {**_NO_STORE, **_names(reloader())}
        body = msgspec.json.encode(outcome)
        return Response(body, _STATUS[outcome.result], headers, media_type="application/json")

    @api.post("/reload", tags=["configuration"])
    async def reload(request: Request) -> Response:
        """Reads the configuration file again, and makes it active on all workers or on none."""
        return answer(await reloader().reload(_who(request)))

    @api.get("/config", tags=["configuration"])
    async def active() -> Response:
        """The active configuration as JSON, its values as they were written, secrets as digests."""
        shown = await reloader().shown()
        return Response(shown, headers={**_NO_STORE, **_names(reloader())}, media_type="application/json")

    @api.put("/config", tags=["configuration"], openapi_extra=_BODY)
    async def put(request: Request) -> Response:
        """Replaces the active configuration; If-Match has to name it. The file on disk is left as it is."""
        given = request.headers.getlist("if-match")
        if not given:
            raise _Refused(428, "If-Match is missing: send the ETag of GET /config, so that nobody's change is lost")
        etags = {one.strip().removeprefix("W/").strip('"') for one in ",".join(given).split(",")}
        text = await _text(request, reloader())
        try:
            return answer(await reloader().put(text, _who(request), etags=etags))
        except Stale:
            return JSONResponse(
                {"detail": "the configuration has changed since: look at it again", "number": reloader().active.number},
                412,
                {**_NO_STORE, **_names(reloader())},
            )

    @api.post("/config/validate", tags=["configuration"], openapi_extra=_BODY)
    async def validate(request: Request) -> Response:
        """Says whether a configuration could become active, with all findings, and changes nothing."""
        return answer(await reloader().check(await _text(request, reloader()), _who(request)))

    @api.get("/config/history", tags=["configuration"])
    async def history() -> Response:
        """The last twenty configurations, newest first: when, who, where from, and what each changed."""
        body = await reloader().past()
        return Response(msgspec.json.encode(body), headers=_NO_STORE, media_type="application/json")

    @api.post("/config/rollback", tags=["configuration"])
    async def roll_back(request: Request, to: RollBack) -> Response:
        """Makes a configuration of the history active again, under a new number."""
        outcome = await reloader().roll_back(to.number, _who(request))
        if outcome is None:
            raise _Refused(404, f"the history has no configuration {to.number}")
        return answer(outcome)


def _names(reloader: Reloader) -> dict[str, str]:
    return {"ETag": f'"{reloader.active.etag}"', "Tidegate-Configuration": str(reloader.active.number)}


def _who(request: Request) -> str:
    """The name of the token, or the user at the other end of the socket."""
    by: str | None = request.scope.get("tidegate.by")
    return by or (request.client.host if request.client is not None else "unknown")


async def _text(request: Request, reloader: Reloader) -> Text:
    """The body as text of a configuration."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _YAML | _TOML:
        raise _Refused(415, f"{kind} is no form of a configuration: send application/toml, application/json or YAML")
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > LARGEST:
            raise _Refused(413, f"a configuration has at most {LARGEST >> 20} MiB")
    try:
        return reloader.text_of_request(content.decode(), is_yaml=kind in _YAML)
    except UnicodeDecodeError:
        raise _Refused(422, "the body is not UTF-8 text") from None
