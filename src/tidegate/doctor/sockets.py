"""The TCP connections of this machine, as the kernel knows them: who with, how far away, and what was sent again.

Asked by netlink (sock_diag(7), as `ss -ti` does), which needs no privilege and gives `struct tcp_info` of each. The
kernel walks its table for it: some milliseconds for ten thousand connections, in the process that asks.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Connection", "read_connections"]

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_INET_DIAG_INFO = 2
_STATES_ASKED = 0xFFF & ~(1 << 10 | 1 << 6)  # neither listening nor in TIME_WAIT, of which only the port is left

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_REQUEST = struct.Struct("=BBBxI48s")  # inet_diag_req_v2: family, protocol, extensions, states, id
_MESSAGE = struct.Struct("!BBBB HH 16s 16s")  # inet_diag_msg up to the addresses; what it counts is behind them
_MESSAGE_BYTES = 72
_ATTRIBUTE = struct.Struct("=HH")
# tcp_info: 8 bytes of flags, then 32-bit words.
_LOST_AT, _RTT_AT, _TOTAL_RETRANS_AT = 32, 68, 100
_SEGMENTS_OUT_AT = 136

_STATES = {1: "established", 2: "syn-sent", 3: "syn-received", 4: "fin-wait-1", 5: "fin-wait-2",
           7: "close", 8: "close-wait", 9: "last-ack", 11: "closing", 12: "syn-received"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection; the counters are those of its whole life, 0 where the kernel does not tell them."""

    local: tuple[str, int]
    peer: tuple[str, int]
    state: str
    rtt_s: float = 0.0
    retransmits: int = 0
    segments_out: int = 0
    lost: int = 0

    @property
    def is_local(self) -> bool:
        """Whether both ends are this machine."""
        return self.local[0] == self.peer[0] or ipaddress.ip_address(self.peer[0]).is_loopback


def read_connections() -> tuple[Connection, ...]:
    """All of this network namespace that still are some. OSError: the kernel does not tell."""
    return tuple(one for family in (socket.AF_INET, socket.AF_INET6) for one in _of_family(family))


def _of_family(family: int) -> Iterator[Connection]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as asked:
        asked.settimeout(10.0)
        body = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INET_DIAG_INFO - 1), _STATES_ASKED, b"")
        asked.send(_HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0) + body)
        while True:
            answer = asked.recv(1 << 17)
            at = 0
            while at + _HEADER.size <= len(answer):
                length, kind, *_ = _HEADER.unpack_from(answer, at)
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    (code,) = struct.unpack_from("=i", answer, at + _HEADER.size)
                    raise OSError(-code, "the kernel refuses to list connections")
                if kind == _SOCK_DIAG_BY_FAMILY:
                    yield parse_connection(answer[at + _HEADER.size : at + length])
                at += (length + 3) & ~3


def parse_connection(message: bytes) -> Connection:
    """One ``struct inet_diag_msg`` with its attributes."""
    family, state, _, _, local_port, peer_port, local, peer = _MESSAGE.unpack_from(message)
    size = 4 if family == socket.AF_INET else 16
    info = b""
    at = _MESSAGE_BYTES
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _INET_DIAG_INFO:
            info = message[at + _ATTRIBUTE.size : at + length]
        at += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return Connection(
        (_address(local[:size]), local_port),
        (_address(peer[:size]), peer_port),
        _STATES.get(state, "close"),
        rtt_s=_word(info, _RTT_AT) / 1e6,
        retransmits=_word(info, _TOTAL_RETRANS_AT),
        segments_out=_word(info, _SEGMENTS_OUT_AT),
        lost=_word(info, _LOST_AT),
    )


def _address(packed: bytes) -> str:
    """As text; an IPv4 address that a socket of IPv6 has is told as what it is."""
    found = ipaddress.ip_address(packed)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def _word(info: bytes, at: int) -> int:
    # Older kernels have a shorter structure.
    return int(struct.unpack_from("=I", info, at)[0]) if len(info) >= at + 4 else 0
