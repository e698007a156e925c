"""Cores that workers are to run on: each worker has some, and this process may use them."""

import os

from tidegate.config.findings import Path
from tidegate.config.rules.subject import Subject

__all__ = ["check_cores"]

_AFFINITY: Path = ("server", "affinity")


def check_cores(subject: Subject) -> None:
    """A list of cores has one entry for each worker, and names cores that may be used."""
    server = subject.gateway.server
    lists = server.affinity
    if lists is None or lists == "auto" or _AFFINITY in subject.shaped.lost:
        return
    count = f"{len(lists)} list{'s' * (len(lists) != 1)} of cores"
    if server.workers == "auto":
        subject.find(_AFFINITY, f"{count}, but how many workers there are is left to the machine; set workers = …")
    elif len(lists) != server.workers and ("server", "workers") not in subject.shaped.lost:
        subject.find(_AFFINITY, f"{count} for {server.workers} workers; each worker needs one")
    usable = os.sched_getaffinity(0)
    for index, cores in enumerate(lists):
        missing = sorted(set(cores) - usable)
        if missing:
            listed = ", ".join(str(core) for core in missing)
            there = ", ".join(str(core) for core in sorted(usable))
            subject.find((*_AFFINITY, index), f"core {listed} is not there for this process; it may use {there}")
