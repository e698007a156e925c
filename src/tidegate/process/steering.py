"""Which worker slot gets the next connection: a classic BPF program on a SO_REUSEPORT group.

The kernel asks the program for each new connection and takes the socket whose place in the group it returns. Places are
given in the order in which the sockets began to listen, so the slot numbers are the places. Attaching a new program
moves future connections only: what waits in a socket stays there, and nobody is reset (shutting the socket down instead
reset 49 of 100 in a trial). Needs no privilege.

``admit_nobody`` is the second program: a filter on one listening socket that drops new SYNs and lets the last packet of
a handshake under way through, so that a queue can be emptied before the socket is closed. A dropped SYN is sent again
a second later, and then finds the next program or is refused.
"""

import ctypes
import socket
import struct
from collections.abc import Sequence

__all__ = ["admit_nobody", "steer"]

# Linux has the same numbers on every architecture Python wheels exist for; `socket` does not name them.
_SO_ATTACH_FILTER = 26
_SO_ATTACH_REUSEPORT_CBPF = 51

# linux/filter.h, linux/bpf_common.h: opcode, jump if true, jump if false, operand.
_Instruction = tuple[int, int, int, int]
_LOAD_WORD = 0x20
_LOAD_BYTE = 0x30
_MODULO = 0x94
_JUMP_IF_EQUAL = 0x15
_JUMP_IF_ANY_BIT = 0x45
_RETURN = 0x06
_RANDOM = (-0x1000 + 56) & 0xFFFFFFFF  # SKF_AD_OFF + SKF_AD_RANDOM

_TCP_FLAGS = 13  # the filter sees a segment from its TCP header on
_SYN = 0x02


def steer(member: socket.socket, live_slots: Sequence[int]) -> None:
    """Sends each new connection of the group of ``member`` to one of ``live_slots`` at random.

    Raises:
        OSError: the kernel does not take the program; its own hash over all sockets goes on.
        ValueError: no slot is given.
    """
    if not live_slots:
        raise ValueError("steering needs at least one live slot")
    program: list[_Instruction] = [(_LOAD_WORD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(live_slots))]
    for index, slot in enumerate(live_slots):
        program.append((_JUMP_IF_EQUAL, 0, 1, index))
        program.append((_RETURN, 0, 0, slot))
    program.append((_RETURN, 0, 0, live_slots[0]))
    _attach(member, _SO_ATTACH_REUSEPORT_CBPF, program)


def admit_nobody(listener: socket.socket) -> None:
    """Drops new SYNs at ``listener``; connections whose handshake has begun still arrive. OSError: not supported."""
    everything = 0xFFFFFFFF
    _attach(
        listener,
        _SO_ATTACH_FILTER,
        [
            (_LOAD_BYTE, 0, 0, _TCP_FLAGS),
            (_JUMP_IF_ANY_BIT, 0, 1, _SYN),
            (_RETURN, 0, 0, 0),
            (_RETURN, 0, 0, everything),
        ],
    )


def _attach(target: socket.socket, option: int, program: Sequence[_Instruction]) -> None:
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    target.setsockopt(socket.SOL_SOCKET, option, struct.pack("@HP", len(program), ctypes.addressof(buffer)))
