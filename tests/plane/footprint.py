"""How much memory this process holds: gateway, clients and servers of the test together."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path

IS_SANITIZED = os.environ.get("TIDEGATE_SANITIZE") == "1"
PAGE = os.sysconf("SC_PAGESIZE")


def held() -> int:
    """Bytes that are held now: resident memory on the ordinary build.

    AddressSanitizer keeps what was freed in quarantine and describes each byte in shadow pages, so that resident memory
    says nothing about a leak there; but it knows how many bytes are allocated.
    """
    if IS_SANITIZED:
        allocated = ctypes.CDLL(None).__sanitizer_get_current_allocated_bytes
        allocated.restype = ctypes.c_size_t
        return int(allocated())
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def footprint() -> int:
    """The same without the garbage of the cyclic collector."""
    gc.collect()
    return held()


def grown_since(before: int) -> int:
    """How many bytes more than ``before`` are held now."""
    return footprint() - before
