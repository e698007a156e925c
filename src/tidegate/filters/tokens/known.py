"""Tokens that were found out already, by their digests.

Bounded in number and in bytes: who came longest ago goes first. Only what holds is kept here, never a refusal: a
flood of wrong tokens pushes nobody out.
"""

from typing import NamedTuple

from tidegate.filters.tokens.principal import Principal

__all__ = ["Known", "KnownStatistics"]

_ENTRY_BYTES = 200  # the digest and its places


class KnownStatistics(NamedTuple):
    """What it holds, and how often that helped."""

    entries: int
    bytes: int
    hits: int
    misses: int
    evictions: int


class Known:
    """Principals by the digest of their token.

    Args:
        most: Entries kept.
        most_bytes: Bytes that they may have together.
    """

    def __init__(self, most: int = 10_000, most_bytes: int = 16 << 20) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._entries: dict[bytes, Principal] = {}  # the last is the one that came last
        self._bytes = self._hits = self._misses = self._evictions = 0

    def get(self, digest: bytes, now_s: float) -> Principal | None:
        """Whom the token stands for; None: not known, or over by ``now_s``, on the clock of its ``until_s``."""
        found = self._entries.pop(digest, None)
        if found is None:
            self._misses += 1
            return None
        if found.until_s <= now_s:
            self._bytes -= found.size + _ENTRY_BYTES
            self._misses += 1
            return None
        self._entries[digest] = found
        self._hits += 1
        return found

    def put(self, digest: bytes, principal: Principal) -> None:
        """Keeps what was found out; one that alone is larger than the bound is not kept."""
        size = principal.size + _ENTRY_BYTES
        if size > self._most_bytes:
            return
        before = self._entries.pop(digest, None)
        if before is not None:
            self._bytes -= before.size + _ENTRY_BYTES
        self._entries[digest] = principal
        self._bytes += size
        while len(self._entries) > self._most or self._bytes > self._most_bytes:
            oldest = next(iter(self._entries))
            self._bytes -= self._entries.pop(oldest).size + _ENTRY_BYTES
            self._evictions += 1

    def clear(self) -> None:
        """Forgets all."""
        self._entries.clear()
        self._bytes = 0

    def statistics(self) -> KnownStatistics:
        """What it holds, and how often that helped."""
        return KnownStatistics(len(self._entries), self._bytes, self._hits, self._misses, self._evictions)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Known {len(self)} of {self._most} tokens, {self._bytes} bytes, {self._hits} hits>"
