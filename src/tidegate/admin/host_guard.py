"""Keeps web pages of others from reading the admin API through a browser on this machine.

Such a page reaches a loopback address under a name of its own (DNS rebinding), so the browser sends that name in Host.
An IP address, ``localhost`` and the configured host are nobody else's names. There is no CORS, so a page cannot read
the answer under these either.
"""

import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["HostGuard", "is_own_host"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_REFUSAL = b'{"detail":"this Host is not served here"}'


class HostGuard:
    """Answers 421 to requests whose Host is somebody else's name."""

    def __init__(self, application: Application, own_name: str) -> None:
        self._application = application
        self._own_name = own_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_served(scope):
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_REFUSAL)).encode())]
            await send({"type": "http.response.start", "status": 421, "headers": headers})
            await send({"type": "http.response.body", "body": _REFUSAL})
            return
        await self._application(scope, receive, send)

    def _is_served(self, scope: Scope) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        return len(hosts) == 1 and is_own_host(hosts[0].decode("latin-1"), self._own_name)


def is_own_host(host: str, own_name: str) -> bool:
    """Whether a Host field's value is an IP address, ``localhost`` or ``own_name``, with or without a port."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name = host
    elif not port.isdigit():
        return False
    name = name.lower()
    if name in ("localhost", own_name.lower()):
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
