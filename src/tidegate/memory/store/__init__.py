"""The machine store: cached values that all workers of a machine share, and that outlive every one of them.

    store       the face: read at once, write through a thread, bounded in bytes
    record      how an entry is written down, and what is told of the store
    ledger      what is in it, in LMDB: entries, their order of use, their expiry, what they weigh
    large       each value of more than 64 KiB, a file of its own
    writer      the one thread of a process that writes; who waits for it waits for a bounded time
    directory   where all of it lies, whose it is, and which generation of it is valid

A process has one store for each directory. Nothing here is on the way of a request that finds its value in the worker.
"""

from tidegate.memory.store.record import SMALL_MAX, Entry, StoreStatistics, boot_s
from tidegate.memory.store.store import Store

__all__ = ["SMALL_MAX", "Entry", "Store", "StoreStatistics", "boot_s"]
