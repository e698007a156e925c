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
    from tidegate.process.history import History

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
            f"to start with it: tidegate run --last-good {file}",
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


def _warn_of_replaced(file: Path, history: "History", snapshot: "Snapshot") -> None:
    last = history.last()
    if last is not None and last.origin.kind in ("api", "rollback") and last.etag != snapshot.etag:
        way = "the API" if last.origin.kind == "api" else "a rollback"
        print(
            f"tidegate: {file} replaces configuration {last.number}, which came through {way}; "
            f"to start with that one: tidegate run --last-good {file}",
            file=sys.stderr,
        )
