"""What the checking child does with its order: everything that needs the checker's memory or its time."""

import dataclasses
import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

from tidegate.config import check
from tidegate.config.child import Active, Checked, CheckOrder, answer
from tidegate.config.findings import Finding
from tidegate.config.load import load_text
from tidegate.config.rules.fixed import fixed_since, not_by_the_api
from tidegate.config.rules.subject import Subject
from tidegate.config.schema import Gateway
from tidegate.config.shown import difference, masked, restored, shown
from tidegate.config.snapshot import Snapshot
from tidegate.config.source import files_digest, in_the_open

__all__ = ["examine_order", "newer_code"]


def examine_order(order: CheckOrder) -> tuple[Snapshot | None, Checked]:
    """The snapshot, if the text is valid, and what was found."""
    active = order.active
    before = "" if active is None else _shown_text(active, order.mask_key)
    if order.text is None:
        return None, Checked(findings=[], verdict="same", shown=before)
    text = order.text
    if active is not None and order.is_from_api:
        tree = load_text(active.text, file="", is_yaml=active.snapshot.origin.is_yaml).tree
        text = restored(text, tree, active.snapshot.origin.secrets, order.mask_key)
    rules: list[Callable[[Subject], None]] = []
    if active is not None:
        rules.append(fixed_since(active.snapshot.gateway))
        if order.is_from_api:
            rules.append(not_by_the_api(active.snapshot.gateway))
    source = load_text(text, file=order.name, is_yaml=order.is_yaml)
    examined = check.examine(
        source, FilePath(order.directory), rules, None if active is None else active.snapshot.places
    )
    if examined.gateway is None:
        return None, Checked(findings=examined.findings)
    origin = dataclasses.replace(
        order.origin,
        files_digest=files_digest(examined.gateway, examined.secrets),
        secrets=in_the_open(examined.secrets),
    )
    snapshot = examined.snapshot(order.number, origin)
    assert snapshot is not None  # noqa: S101 - narrows the type
    after = shown(masked(source.tree, origin.secrets, order.mask_key))
    verdict: Any = "new"
    findings = list(examined.findings)
    newer: list[str] = []
    told = ""
    if active is not None:
        if snapshot.etag == active.snapshot.etag:
            verdict = "same" if origin.files_digest == active.snapshot.origin.files_digest else "files"
        told = difference(before, after, (f"configuration {active.snapshot.number}", f"configuration {order.number}"))
        newer = newer_code(examined.gateway, active.workers_since_s)
        findings += [_takes_an_upgrade(order.name, file) for file in newer]
    small = dataclasses.replace(snapshot.without_routes(), source_text=text)
    return snapshot, Checked(
        findings=findings, verdict=verdict, snapshot=small, shown=after, difference=told, newer_code=newer
    )


def newer_code(gateway: Gateway, since_s: float) -> list[str]:
    """Files of the filters' packages that were written after ``since_s``; the filters have been imported."""
    packages = {use.target.partition(":")[0].partition(".")[0] for use in gateway.filters.values()} - {"tidegate"}
    return sorted({file for file in _files_of(packages) if _written_s(file) > since_s})


def _files_of(packages: set[str]) -> Iterator[str]:
    importlib.invalidate_caches()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name.partition(".")[0] in packages:
            yield file


def _written_s(file: str) -> float:
    try:
        return FilePath(file).stat().st_mtime
    except OSError:
        return 0.0


def _takes_an_upgrade(name: str, file: str) -> Finding:
    message = (
        f"{file} was written after the workers started, which go on with the code they loaded; new code takes an "
        "upgrade (tidegate upgrade) or a restart"
    )
    return Finding(file=name, message=message, severity="warning")


def _shown_text(active: Active, key: bytes) -> str:
    """What is active, as it may be shown; "" when its text is not known."""
    if active.shown:
        return active.shown
    origin = active.snapshot.origin
    tree = load_text(active.text, file="", is_yaml=origin.is_yaml).tree
    return "" if tree is None else shown(masked(tree, origin.secrets, key))


if __name__ == "__main__":
    # It lives for a second and makes millions of objects that all stay: looking for garbage doubles its time.
    gc.disable()
    answer(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), examine_order)
    # Nothing is left to be tidied up, and modules of others may have started threads that never end.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
