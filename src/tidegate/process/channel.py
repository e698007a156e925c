"""One end of the conversation between the supervisor and a process it started: whole messages, in order.

A sequenced-packet socket pair, so a message is read whole or not at all. Sending never waits: a process that is stopped
does not hold up the other. `ChannelClosed` means the other end is gone.
"""

import os
import socket
from typing import Generic, TypeVar

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
        try:
            self._end.send(msgspec.msgpack.encode(message))
        except (BlockingIOError, ConnectionError):
            return False
        return True

    def receive(self) -> Incoming | None:
        """The next message, or None when there is none now.

        Raises:
            ChannelClosed: the other end is gone, and all it had sent has been read.
        """
        try:
            packet = self._receive_packet()
        except BlockingIOError:
            return None
        if not packet:
            raise ChannelClosed
        return self._decoder.decode(packet)

    def _receive_packet(self) -> bytes:
        try:
            return self._end.recv(_LARGEST)
        except ConnectionResetError:
            # It went without having read all we sent, which is reported before what it said last, and once.
            return self._end.recv(_LARGEST)

    def close(self) -> None:
        """Closes this end; the other one learns of it."""
        self._end.close()


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """The two ends: ours, and the one to be inherited."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
