"""How many bytes a value takes in memory, near enough for a bound."""

import sys
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["ENTRY_BYTES", "size_of"]

ENTRY_BYTES: Final = 512
"""An entry without its value: the object, its key, its places in two tables. Measured: 420 to 520."""

_DEPTH: Final = 64
_PLAIN: Final = (bytes, str, int, float)


def size_of(value: Any, depth: int = _DEPTH) -> int:
    """Bytes of a value with all that it contains; what it shares with others counts each time.

    Of objects that are no builtin containers only the outermost counts.
    """
    size = sys.getsizeof(value)
    if type(value) is bytes or depth == 0 or isinstance(value, _PLAIN):
        return size
    if isinstance(value, Mapping):
        return size + sum(size_of(key, depth - 1) + size_of(one, depth - 1) for key, one in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return size + sum(size_of(one, depth - 1) for one in value)
    return size
