"""``tidegate profile``."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.reach import PidOption, reach
from tidegate.config.values import format_duration, parse_duration
from tidegate.process.failure import StartError

if TYPE_CHECKING:
    from tidegate.admin.client import ControlClient
    from tidegate.profile.stacks import Stacks

__all__ = ["profile"]

_LONGEST_S = 600.0
_PATIENCE_S = 60.0  # beyond the time that is measured
_ROWS = 25


def profile(
    *,
    blocked: Annotated[
        bool, typer.Option("--blocked", help="How long loops were held, and where, as the stall watch has seen it.")
    ] = False,
    memory: Annotated[
        bool, typer.Option("--memory", help="What is allocated in that time and still there at its end.")
    ] = False,
    heap: Annotated[
        bool, typer.Option("--heap", help="Live objects by type; with --for the difference of two moments.")
    ] = False,
    worker: Annotated[
        list[int] | None, typer.Option("--worker", metavar="N", help="Which worker; may be repeated.", min=0)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every worker.")] = False,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="For how long. CPU and --memory: 10s by default.")
    ] = None,
    rate: Annotated[int, typer.Option(help="Samples a second (CPU).", min=1, max=1000)] = 25,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", metavar="FILE", help=".html, .svg, .json (speedscope) or .folded; repeatable."),
    ] = None,
    opened: Annotated[bool, typer.Option("--open", help="Open the first file in a browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --heap: print all of it as JSON.")] = False,
    pid: PidOption = None,
) -> None:
    """Show where the time of a running worker goes (CPU, or what held its loop), or its memory; without a restart."""
    if blocked + memory + heap > 1:
        raise typer.BadParameter("choose one of --blocked, --memory and --heap")
    kind = "blocked" if blocked else "memory" if memory else "heap" if heap else "cpu"
    seconds = _seconds(duration, {"cpu": 10.0, "memory": 10.0}.get(kind, 0.0))
    gateway = reach(pid, timeout_s=seconds + _PATIENCE_S)
    paths = list(output or ([] if heap else [Path(f"profile-{kind}.html")]))
    for path in paths:
        _check(path, is_heap=heap)
    chosen = _chosen(gateway.get("/status")["workers"], worker, every=every or kind == "blocked")
    if heap:
        _show_heap(gateway, list(chosen), seconds, as_json=as_json)
        return
    stacks, title, notes = _measured(kind, gateway, chosen, seconds, rate)
    if not stacks.weights:
        raise StartError(_NOTHING[kind] + (f" ({'; '.join(notes)})" if notes else ""))
    _save(paths, stacks, title, notes, is_opened=opened)


_NOTHING = {
    "cpu": "nobody was seen to compute: every thread was at rest",
    "blocked": "no loop was held for longer than server.stall_notice",
    "memory": "nothing was seen that was allocated and is still there",
}


def _seconds(text: str | None, usual: float) -> float:
    if text is None:
        return usual
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not 0 < seconds <= _LONGEST_S:
        raise typer.BadParameter("more than 0s, and at most ten minutes")
    return seconds


def _check(path: Path, *, is_heap: bool) -> None:
    from tidegate.profile.output import check_name

    if is_heap:
        raise typer.BadParameter("--heap is a table: it has no file, but --json")
    check_name(path)


def _chosen(workers: Sequence[dict[str, Any]], wanted: list[int] | None, *, every: bool) -> dict[int, int]:
    """The pids of the workers that were asked for, by number; of nobody in particular: the fullest one."""
    running = {one["index"]: one for one in workers if one["pid"] and one["drains_for_s"] is None}
    if unknown := [one for one in wanted or () if one not in running]:
        raise StartError(f"there is no worker {unknown[0]}; there are {', '.join(map(str, sorted(running)))}")
    if not running:
        raise StartError("no worker runs")
    if wanted:
        indexes = list(dict.fromkeys(wanted))
    elif every:
        indexes = sorted(running)
    else:
        indexes = [max(running, key=lambda index: running[index]["saturation"])]
    return {index: running[index]["pid"] for index in indexes}


def _measured(
    kind: str, gateway: ControlClient, chosen: dict[int, int], seconds: float, rate: int
) -> tuple[Stacks, str, list[str]]:
    from tidegate.profile import measurements
    from tidegate.profile.sampler import sample
    from tidegate.profile.stacks import Stacks

    names = ", ".join(f"worker {index}" for index in chosen)
    begun = partial(_say_that_it_takes, seconds)
    if kind == "cpu":
        seen = sample(list(chosen.values()), seconds, rate=rate, begun=begun)
        stacks = Stacks("samples")
        for index, pid in chosen.items():
            if pid in seen.stacks:
                stacks.add_all(seen.stacks[pid].weights, f"worker {index} (pid {pid})")
        return stacks, f"CPU of {names}, {rate} samples a second", list(seen.notes)
    if kind == "memory":
        answers, is_interrupted = measurements.ask(gateway.post, "allocations", list(chosen), seconds, begun)
        stacks, notes = measurements.allocated(answers)
        notes += ["ended early, by Ctrl-C"] if is_interrupted else []
        return stacks, f"allocated by {names} and still there", notes
    before, is_interrupted = None, False
    if seconds:
        before = measurements.blocked(measurements.ask(gateway.post, "blocked", [], 0.0)[0])
        is_interrupted = _wait(seconds, begun)
    answers, _ = measurements.ask(gateway.post, "blocked", [], 0.0)
    notes = ["each stack is the one at the moment when the loop had been held for server.stall_notice"]
    notes += ["ended early, by Ctrl-C"] if is_interrupted else []
    since = f"in {seconds:g} s" if seconds else "since the start"
    return measurements.blocked(answers, list(chosen), before), f"loops held, {since}", notes


def _say_that_it_takes(seconds: float) -> None:
    if seconds:
        typer.echo(f"tidegate: measures for {format_duration(seconds)}; Ctrl-C ends it early", err=True)


def _wait(seconds: float, begun: Callable[[], None]) -> bool:
    """Waits; whether Ctrl-C ended it."""
    import time

    from tidegate.profile.ctrl_c import CtrlC

    with CtrlC() as ctrl_c:
        begun()
        end_s = time.monotonic() + seconds
        while not ctrl_c.is_pressed and time.monotonic() < end_s:
            time.sleep(min(0.1, max(0.0, end_s - time.monotonic())))
    return ctrl_c.is_pressed


def _save(paths: list[Path], stacks: Stacks, title: str, notes: list[str], *, is_opened: bool) -> None:
    from tidegate.profile.output import write

    for path in paths:
        write(path, stacks, title, notes)
        print(path)
    for note in notes:
        typer.echo(f"tidegate: {note}", err=True)
    if is_opened and not webbrowser.open(paths[0].absolute().as_uri()):
        typer.echo("tidegate: no browser could be opened", err=True)


def _show_heap(gateway: ControlClient, workers: list[int], seconds: float, *, as_json: bool) -> None:
    from tidegate.profile.measurements import ask, heap_rows

    answers, _ = ask(gateway.post, "heap", workers, seconds, partial(_say_that_it_takes, seconds))
    told = [{**one, "types": [asdict(row) for row in heap_rows(one)]} for one in answers if "error" not in one]
    errors = [f"worker {one['worker']}: {one['error']}" for one in answers if "error" in one]
    if not told:
        raise StartError("; ".join(errors))
    if as_json:
        fields = ("worker", "pid", "types")
        print(json.dumps([{name: one[name] for name in fields} for one in told], indent=2))
    else:
        for one in told:
            _show_types(one, has_difference=bool(seconds))
    for error in errors:
        typer.echo(f"tidegate: {error}", err=True)


def _show_types(one: dict[str, Any], *, has_difference: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    titles = [
        f"worker {one['worker']} (pid {one['pid']})",
        "objects",
        "KiB",
        *(["more", "KiB more"] if has_difference else []),
    ]
    table = Table(*titles, box=None)
    for row in one["types"][:_ROWS]:
        more = [f"{row['more']:+,}", f"{row['more_size'] / 1024:+,.1f}"] if has_difference else []
        table.add_row(row["kind"], f"{row['count']:,}", f"{row['size'] / 1024:,.1f}", *more)
    Console(highlight=False, markup=False, width=1000).print(table)
