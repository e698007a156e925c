from mmap import mmap

from tidegate.memory.quotas import QuotaTable

RECORD_SIZE: int

def image_size(sets: int) -> int:
    """Bytes of what ``changed`` compares a table of so many sets with."""

def changed(table: QuotaTable, seen: mmap, first: int, count: int, now_ms: int) -> bytes:
    """Records of those of ``count`` cells from ``first`` on that differ from ``seen``, which becomes as they are.

    Times are CLOCK_MONOTONIC. Cells whose window is over are not told of, and become as if they had been.
    """

def restore(table: QuotaTable, records: bytes, shift_ms: int, now_ms: int, longest_ms: int) -> int:
    """Puts records into a table that nobody else uses, later ones over earlier ones; how many of them are live.

    Ends of windows are moved by ``shift_ms``, what one clock was behind the other, and then lie ``longest_ms`` ahead at
    most.
    """
