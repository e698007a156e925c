"""Over TCP, whatever changes something needs a token from the first byte, loopback included.

Without one, only what is read by load balancers and Prometheus is there. The token is a reference in the configuration
and is read when it is needed, so that it can be exchanged in place; it is compared in constant time.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection

from tidegate.admin.host_guard import Application, Receive, Scope, Send
from tidegate.config.secrets import reveal

__all__ = ["TokenGuard"]


class TokenGuard:
    """Gives who has the token the commands, and everybody else what may be read.

    Args:
        reading: the application for everybody.
        readable: its paths.
        commands: the application for who has the token.
        reference: gives the reference to the token that is configured now; None: there is none.
    """

    def __init__(
        self,
        reading: Application,
        readable: Collection[str],
        commands: Application,
        reference: Callable[[], str | None],
    ) -> None:
        self._reading = reading
        self._readable = frozenset(readable)
        self._commands = commands
        self._reference = reference

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._reading(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        reference = self._reference()
        if not given and scope["path"] in self._readable:
            await self._reading(scope, receive, send)
        elif reference is None:
            await _refuse(send, 403, b"this goes through the unix socket, or with server.admin_token set")
        elif len(given) == 1 and _is_token(given[0], reference):
            scope["tidegate.by"] = f"token {reference}"
            await self._commands(scope, receive, send)
        else:
            await _refuse(send, 401, b"send the token as Authorization: Bearer ...")


def _is_token(given: bytes, reference: str) -> bool:
    scheme, _, token = given.partition(b" ")
    try:
        expected = reveal(reference).encode()
    except ValueError:
        return False
    # Of equal length whatever was sent, and an empty token opens nothing.
    one, other = hashlib.sha256(token.strip()).digest(), hashlib.sha256(expected).digest()
    return hmac.compare_digest(one, other) and scheme.lower() == b"bearer" and len(expected) > 0


async def _refuse(send: Send, status: int, detail: bytes) -> None:
    body = b'{"detail":"%b"}' % detail
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
