"""One end of the conversation between the supervisor and a process it started: whole messages, in order.

A sequenced-packet socket pair, so a message is read whole or not at all. Sending never waits: a process that is stopped
does not hold up the other. `ChannelClosed` means the other end is gone.

The descriptor of a message that has a field ``fd`` travels beside it (SCM_RIGHTS). The sender keeps its own; the
receiver gets another one, closed on exec, and finds its number in the message.
"""

import array
import os
import socket
from typing import Any, Generic, TypeVar

import msgspec

from tidegate.process.messages import Message

__all__ = ["Channel", "ChannelClosed", "channel_pair"]

Incoming = TypeVar("Incoming")

_LARGEST = 256 << 10


class ChannelClosed(Exception):
    """The process at the other end is gone."""


class Channel(Generic[Incoming]):
    """Sends messages, and decodes what comes as one of ``incoming``."""

    def __init__(self, end: socket.socket, incoming: object) -> None:
        end.setblocking(False)
        self._end = end
        self._decoder: msgspec.msgpack.Decoder[Incoming] = msgspec.msgpack.Decoder(incoming)

    @classmethod
    def inherited(cls, fd: int, incoming: object) -> "Channel[Incoming]":
        """The end that a process was started with."""
        os.set_inheritable(fd, False)
        return cls(socket.socket(fileno=fd), incoming)

    def __repr__(self) -> str:
        return f"<Channel fd={self._end.fileno()}>"

    def fileno(self) -> int:
        """The descriptor to watch for reading."""
        return self._end.fileno()

    def send(self, message: Message) -> bool:
        """Sends, and says whether it went: False when the other end is gone or has stopped reading."""
        fd: int = getattr(message, "fd", -1)
        beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd >= 0 else []
        try:
            self._end.sendmsg([msgspec.msgpack.encode(message)], beside)
        except (BlockingIOError, ConnectionError):
            return False
        return True

    def receive(self) -> Incoming | None:
        """The next message, or None when there is none now.

        Raises:
            ChannelClosed: the other end is gone, and all it had sent has been read.
        """
        try:
            packet, fds = self._receive_packet()
        except BlockingIOError:
            return None
        if not packet:
            raise ChannelClosed
        try:
            message = self._decoder.decode(packet)
            if hasattr(message, "fd"):
                carrying: Any = message
                message = msgspec.structs.replace(carrying, fd=fds.pop() if fds else -1)
            return message
        finally:
            for fd in fds:  # of a message that says nothing about it
                os.close(fd)

    def _receive_packet(self) -> tuple[bytes, list[int]]:
        try:
            return self._receive_once()
        except ConnectionResetError:
            # It went without having read all we sent, which is reported before what it said last, and once.
            return self._receive_once()

    def _receive_once(self) -> tuple[bytes, list[int]]:
        room = socket.CMSG_SPACE(array.array("i").itemsize)
        packet, beside, *_ = self._end.recvmsg(_LARGEST, room, socket.MSG_CMSG_CLOEXEC)
        fds = array.array("i")
        for level, kind, content in beside:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
        return packet, list(fds)

    def close(self) -> None:
        """Closes this end; the other one learns of it."""
        self._end.close()


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """The two ends: ours, and the one to be inherited."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
