"""Whether the gateway lives, and should get traffic: a decision from what is known, with its reasons, answered at once.

`HealthAnswers` stands before the admin application: a probe costs no routing, no validation and no middleware. What it
says is read from shared memory and the supervisor's channel in that moment; nothing is remembered, so a control process
that was stopped does not answer with what it knew before.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from tidegate.process.view import GatewayView, WorkerView

__all__ = ["HealthAnswers", "health_of", "reasons_not_ready"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class HealthAnswers:
    """Answers ``/health/live`` and ``/health/ready``; everything else goes to ``application``."""

    def __init__(self, application: Application, view: GatewayView) -> None:
        self._application = application
        self._view = view

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._application(scope, receive, send)
            return
        match scope["path"]:
            case "/health/live":
                status, document = 200, {"status": "live", "reasons": []}
            case "/health/ready":
                status, document = health_of(self._view)
            case _:
                await self._application(scope, receive, send)
                return
        content = json.dumps(document).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})


def health_of(view: GatewayView) -> tuple[int, dict[str, Any]]:
    """Status and document of ``/health/ready``, as things are now."""
    view.catch_up()
    reasons = reasons_not_ready(
        view.workers(),
        has_snapshot=view.has_snapshot,
        is_draining=view.is_draining,
        is_orphaned=view.is_orphaned,
        has_roster=view.roster is not None,
    )
    return (503, {"status": "not ready", "reasons": reasons}) if reasons else (200, {"status": "ready", "reasons": []})


def reasons_not_ready(
    workers: Sequence[WorkerView],
    *,
    has_snapshot: bool,
    is_draining: bool,
    is_orphaned: bool = False,
    has_roster: bool = True,
) -> list[str]:
    """Why it should get none; empty when it is ready.

    One worker that gets on is enough: the others' share is steered to it. A busy gateway is ready as well; how busy it
    is says ``saturation``.
    """
    reasons = []
    if not has_snapshot:
        reasons.append("no configuration is active yet")
    if is_orphaned:
        reasons.append("the supervisor is gone: the workers drain")
    elif is_draining:
        reasons.append("the gateway is draining")
    elif not has_roster:
        reasons.append("the supervisor has not said yet who serves")
    if not any(worker.is_serving for worker in workers):
        reasons.append("no worker serves: " + ", ".join(_describe(worker) for worker in workers))
    return reasons


def _describe(worker: WorkerView) -> str:
    state = worker.state
    if worker.is_stalled:
        state = f"stalled for {worker.heartbeat_age_ns / 1e9:.1f} s"
    elif worker.told.last_death and state != "ready":
        state += f" ({worker.told.last_death})"
    return f"worker {worker.mark.slot} is {state}"
