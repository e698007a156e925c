"""A large JSON text as the value that it is, decoded a piece at a time.

msgspec decodes a text in one go: 4 ms a megabyte, in which the loop stands; a thread would not help, since it holds the
interpreter all the while. So a large text is cut between members of its arrays and objects, and some of them at a time
are decoded as an array or object of their own. A member that is itself too large for a piece is cut in the same way.
"""

import re
from collections.abc import Generator
from typing import Any, Final

import msgspec

from tidegate.wire.json_members import members_end, string_end

__all__ = ["PIECE", "decoding"]

PIECE: Final = 64 << 10
"""Bytes that are decoded in one go, a quarter of a millisecond; one string is, whatever its size."""
_DEPTH_MAX: Final = 64  # of containers that are larger than a piece each; what is deeper is decoded in one go
_SPACE: Final = b" \t\r\n"
_CLOSING: Final = {ord("["): ord("]"), ord("{"): ord("}")}

_PAST_WORD: Final = re.compile(rb"[,\]} \t\r\n]")
_decode = msgspec.json.decode


class _TooDeepError(Exception):
    """Arrays within arrays, each too large for a piece."""


def decoding(data: bytes, piece: int = PIECE) -> Generator[None, None, Any]:
    """Decodes ``data`` and yields after each piece; the generator returns what `msgspec.json.decode` does.

    Raises msgspec.DecodeError, a ValueError, for what is no JSON.
    """
    if len(data) <= piece:
        return _decode(data)
    try:
        value, at = yield from _value(data, _past_space(data, 0), piece, 0)
    except _TooDeepError:
        return _decode(data)
    if _past_space(data, at) != len(data):
        raise _wrong(at)
    return value


def _value(data: bytes, at: int, piece: int, depth: int) -> Generator[None, None, tuple[Any, int]]:
    """A value too large for one piece, and where it ends."""
    if data[at : at + 1] == b'"':
        end = string_end(data, at)
        if end < 0:
            raise _wrong(at)
        return _decode(data[at:end]), end
    if data[at : at + 1] not in (b"[", b"{"):  # a number or a word, which spaces or its name have made so large
        found = _PAST_WORD.search(data, at)
        end = len(data) if found is None else found.start()
        return _decode(data[at:end]), end
    if depth >= _DEPTH_MAX:
        raise _TooDeepError
    is_array = data[at] == ord("[")
    whole: Any = [] if is_array else {}
    closing = _CLOSING[data[at]]
    at += 1
    while True:
        end = members_end(data, at, piece)
        if end >= 0:
            text = data[at:end]
            if not text.strip(_SPACE) and (whole or data[end] != closing):
                raise _wrong(end)  # before a comma, and behind it, there is a member
            if is_array:
                whole += _decode(b"[%b]" % text)
            else:
                whole.update(_decode(b"{%b}" % text))
            at = end
            yield
        else:
            at = _past_space(data, at)
            if not whole and at < len(data) and data[at] == closing:
                return whole, at + 1
            key = None
            if not is_array:
                key, at = _key(data, at)
            member, at = yield from _value(data, at, piece, depth + 1)
            if is_array:
                whole.append(member)
            else:
                whole[key] = member
            at = _past_space(data, at)
        mark = data[at] if at < len(data) else -1
        at += 1
        if mark == closing:
            return whole, at
        if mark != ord(","):
            raise _wrong(at - 1)


def _key(data: bytes, at: int) -> tuple[str, int]:
    """The name of a member, and where its value begins."""
    end = string_end(data, at)
    if end < 0:
        raise _wrong(at)
    colon = _past_space(data, end)
    if data[colon : colon + 1] != b":":
        raise _wrong(colon)
    return _decode(data[at:end], type=str), _past_space(data, colon + 1)


def _past_space(data: bytes, at: int) -> int:
    while data[at : at + 1] and data[at] in _SPACE:
        at += 1
    return at


def _wrong(at: int) -> msgspec.DecodeError:
    return msgspec.DecodeError(f"JSON is malformed: (byte {at})")
