"""Commands: how they are written for a server, which of their arguments is the key, and which only read.

A command is a tuple of arguments, ``("SET", "k", b"v")``; text goes out as UTF-8, numbers as their decimal spelling.
"""

from collections.abc import Iterator
from typing import Final

from hiredis import pack_command

__all__ = ["COUNTED", "LARGE", "Argument", "encode", "encode_in_pieces", "key_at", "key_of"]

Argument = str | bytes | int | float | memoryview | bytearray

LARGE: Final = 64 << 10
"""Bytes of an argument from which on it is not copied into the buffer of its lane but sent from where it lies."""

COUNTED: Final = -2
"""Of `key_at`: the second argument says how many keys there are, and they stand behind it."""

_PIECE: Final = 256 << 10

# Where the key stands, where it is not the first argument; 0: there is none, -1: behind another word.
_KEY_AT: Final = {
    b"BITOP": 2,
    b"OBJECT": 2,
    b"XGROUP": 2,
    b"XINFO": 2,
    b"MEMORY": 2,
    **dict.fromkeys((b"EVAL", b"EVALSHA", b"EVAL_RO", b"EVALSHA_RO", b"FCALL", b"FCALL_RO"), COUNTED),
    b"XREAD": -1,
    b"XREADGROUP": -1,
    **dict.fromkeys(
        (
            *(b"ACL", b"ASKING", b"AUTH", b"BGREWRITEAOF", b"BGSAVE", b"CLIENT", b"CLUSTER", b"COMMAND", b"CONFIG"),
            *(b"DBSIZE", b"DEBUG", b"DISCARD", b"ECHO", b"EXEC", b"FAILOVER", b"FLUSHALL", b"FLUSHDB", b"FUNCTION"),
            *(b"HELLO", b"INFO", b"LASTSAVE", b"LATENCY", b"MODULE", b"MULTI", b"PING", b"PUBLISH", b"PUBSUB", b"QUIT"),
            *(b"READONLY", b"READWRITE", b"REPLICAOF", b"ROLE", b"SAVE", b"SCAN", b"SCRIPT", b"SELECT", b"SENTINEL"),
            *(b"SHUTDOWN", b"SLOWLOG", b"SWAPDB", b"TIME", b"UNWATCH", b"WAIT"),
        ),
        0,
    ),
}


def key_at(name: bytes) -> int:
    """Where the key of a command stands among its arguments, its name in capitals; 0: nowhere, `COUNTED`, -1: look."""
    return _KEY_AT.get(name, 1)


def key_of(args: tuple[Argument, ...]) -> bytes | None:
    """The key that a command is about, the first if it has several; None when it has none.

    In a cluster it says which server is asked. A command that this module does not know has its key, as nearly all, in
    its first argument.
    """
    name = _bytes(args[0]).upper()
    at = key_at(name)
    if at == COUNTED:
        at = 0 if len(args) < 4 or _bytes(args[2]) == b"0" else 3
    elif at == -1:
        at = next((i + 1 for i, one in enumerate(args) if i and _bytes(one).upper() == b"STREAMS"), 0)
    return _bytes(args[at]) if 0 < at < len(args) else None


def _bytes(argument: Argument) -> bytes:
    match argument:
        case bytes():
            return argument
        case str():
            return argument.encode()
        case int() | float():
            return repr(argument).encode()
    return bytes(argument)


def encode(args: tuple[Argument, ...]) -> bytes:
    """A command as its bytes; TypeError for an argument that is neither text, bytes nor a number."""
    packed: bytes = pack_command(args)  # type: ignore[arg-type] # its stub knows tuples of one
    return packed


def encode_in_pieces(args: tuple[Argument, ...]) -> tuple[int, Iterator[bytes | memoryview]]:
    """How many bytes a command has, and these bytes piece by piece, none larger than 256 KiB."""
    parts: list[bytes | memoryview] = [b"*%d\r\n" % len(args)]
    for one in args:
        value = memoryview(one).cast("B") if isinstance(one, memoryview) else one
        plain = value if isinstance(value, bytes | bytearray | memoryview) else _bytes(value)
        parts += [b"$%d\r\n" % len(plain), memoryview(plain), b"\r\n"]
    return sum(map(len, parts)), _pieces(parts)


def _pieces(parts: list[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    small: list[bytes | memoryview] = []
    for part in parts:
        if len(part) < LARGE:
            small.append(part)
            continue
        yield b"".join(small)
        small = []
        for at in range(0, len(part), _PIECE):
            yield part[at : at + _PIECE]
    yield b"".join(small)
