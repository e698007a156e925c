"""``tidegate run FILE``."""

import dataclasses
import gc
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.process.failure import EXIT_INVALID, StartError

if TYPE_CHECKING:
    from tidegate.config.snapshot import Snapshot
    from tidegate.process.history import Entry, History

__all__ = ["run"]


def run(
    file: Annotated[Path, typer.Argument(help="The configuration: TOML, or YAML by its name.")],
    last_good: Annotated[
        bool, typer.Option("--last-good", help="Start with what was active last, whatever the file says now.")
    ] = False,
    dev: Annotated[
        bool, typer.Option("--dev", help="Development mode: names calls of filters that block (server.development).")
    ] = False,
) -> None:
    """Run the gateway until it is told to stop (SIGTERM or Ctrl-C drain, a second one stops at once)."""
    from tidegate.cli.launch import launch
    from tidegate.process import development

    if dev:
        os.environ[development.VARIABLE] = "1"
    gc.disable()  # all that is made here is in use until this program gives way to the supervisor
    snapshot = _last_good(file) if last_good else _checked(file)
    history = _history(file, snapshot)
    number = history.next_number(snapshot.etag)
    if not last_good:
        _warn_of_replaced(file, history, snapshot)
    launch(dataclasses.replace(snapshot, number=number))


def _checked(file: Path) -> "Snapshot":
    from tidegate.config.check import check
    from tidegate.config.findings import render

    snapshot, findings = check(file)
    if findings:
        print(render(findings), file=sys.stderr)
    if snapshot is not None:
        return snapshot
    history = _history(file, None)
    last = history.last()
    if last is not None:
        print(
            f"tidegate: the last good configuration is number {last.number} in {history.directory}; "
            f"to start with it: {_way_to(last, file, history)}",
            file=sys.stderr,
        )
    raise typer.Exit(EXIT_INVALID)


def _last_good(file: Path) -> "Snapshot":
    from tidegate.config.check import check_text
    from tidegate.config.findings import render
    from tidegate.config.source import user

    history = _history(file, None)
    entry = history.last()
    if entry is None:
        raise StartError(f"there is no last good configuration in {history.directory}")
    if not _is_ours(history):
        raise StartError(
            f"{history.directory} is not root's, so that another user may have written what is there, and a "
            f"configuration says what root does; to start with the last good one: {_way_to(entry, file, history)}"
        )
    name = f"configuration {entry.number}"
    snapshot, findings = check_text(
        entry.text, file=name, directory=entry.origin.directory, is_yaml=entry.origin.is_yaml
    )
    if findings:
        print(render(findings), file=sys.stderr)
    if snapshot is None:
        raise typer.Exit(EXIT_INVALID)
    origin = dataclasses.replace(
        entry.origin, kind="last-good", name=str(file.absolute()), by=user(os.geteuid()), at_s=round(time.time(), 3)
    )
    return dataclasses.replace(snapshot, origin=origin)


def _history(file: Path, snapshot: "Snapshot | None") -> "History":
    """Where this file's gateway keeps its state, as far as that can be told."""
    from tidegate.config.load import read_text
    from tidegate.process import state_directory
    from tidegate.process.history import History

    if snapshot is not None:
        named = snapshot.gateway.server.state_dir
        return History(state_directory.for_file(file) if named is None else named)
    text = read_text(file)
    named_there = state_directory.named_in(text, file) if isinstance(text, str) else None
    return History(named_there or state_directory.for_file(file))


def _is_ours(history: "History") -> bool:
    """Whether what is kept there is as safe to start with as the file.

    Root opens, gives away and imports what a configuration names. After ``server.user`` the history is of who became
    that user, and whoever takes a process of his over can write to it.
    """
    if os.geteuid() != 0:
        return True
    try:
        return all(place.stat().st_uid == 0 for place in (history.directory, history.directory / "history"))
    except OSError:
        return False


def _way_to(entry: "Entry", file: Path, history: "History") -> str:
    if _is_ours(history):
        return f"tidegate run --last-good {file}"
    kept = history.directory / ("last-good.yaml" if entry.origin.is_yaml else "last-good.toml")
    return f"read {kept}, and put it in place of {file}"


def _warn_of_replaced(file: Path, history: "History", snapshot: "Snapshot") -> None:
    last = history.last()
    if last is not None and last.origin.kind in ("api", "rollback") and last.etag != snapshot.etag:
        way = "the API" if last.origin.kind == "api" else "a rollback"
        print(
            f"tidegate: {file} replaces configuration {last.number}, which came through {way}; "
            f"to start with that one: {_way_to(last, file, history)}",
            file=sys.stderr,
        )
