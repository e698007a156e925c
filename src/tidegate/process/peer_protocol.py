"""HTTP for control's sockets, where a client of the unix socket has the name of its user.

The kernel says who is at the other end of a unix socket (SO_PEERCRED); what is done through it is done in that name.
"""

import asyncio
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol

from tidegate.config.source import user

__all__ = ["PeerProtocol"]

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


class PeerProtocol(H11Protocol):
    """As uvicorn's, but ``client`` is (user, pid) over a unix socket."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        end = transport.get_extra_info("socket")
        if end is not None and end.family == socket.AF_UNIX:
            found = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            pid, uid, _ = _CREDENTIALS.unpack(found)
            self.client = (user(uid), pid)
