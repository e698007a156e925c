"""Which of the 16,384 slots of a cluster a key belongs to (Redis Cluster specification, "Keys distribution model")."""

from binascii import crc_hqx
from typing import Final

__all__ = ["SLOTS", "slot_of"]

SLOTS: Final = 16_384


def slot_of(key: bytes) -> int:
    """CRC16 (XMODEM) of the key, or of what stands between its first braces, so that keys can be kept together."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS
