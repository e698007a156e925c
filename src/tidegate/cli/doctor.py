"""``tidegate doctor``."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.reach import PidOption, reach
from tidegate.config.values import parse_duration
from tidegate.process import runtime_directory
from tidegate.process.failure import EXIT_FAILED, EXIT_INVALID, StartError

if TYPE_CHECKING:
    from rich.text import Text

    from tidegate.admin.client import ControlClient
    from tidegate.config.schema import Gateway
    from tidegate.doctor.examination import Patient
    from tidegate.doctor.finding import Finding, Unseen
    from tidegate.doctor.report import Report

__all__ = ["doctor"]

_COLOURS = {"serious": "bold red", "warning": "yellow", "note": "cyan"}
_LONGEST_S = 3600.0


def doctor(
    file: Annotated[
        Path | None, typer.Argument(help="The configuration to look at; without it the running gateway's.")
    ] = None,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Also compare the directions: which kinds of peers fail from here.")
    ] = False,
    between: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="How long to look at what moves; 0s: one look.")
    ] = "2s",
    prefixes: Annotated[
        list[str] | None,
        typer.Option("--prefix", metavar="TEXT", help="Look at the sizes of Redis keys that begin so only."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    pid: PidOption = None,
) -> None:
    """Say what in this machine, configuration and Redis has taken gateways down before; 1 if it is serious."""
    from tidegate.doctor.examination import examine

    seconds = _duration(between)
    report = examine(_patient(file, pid, tuple(prefixes or ())), seconds=seconds, is_live=live)
    if as_json:
        print(json.dumps(report.document(), indent=2, ensure_ascii=False))
    else:
        _show(report)
    if report.is_serious:
        raise typer.Exit(EXIT_FAILED)


def _duration(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if seconds > _LONGEST_S:
        raise typer.BadParameter("at most an hour")
    return seconds


def _patient(file: Path | None, pid: int | None, prefixes: tuple[str, ...]) -> Patient:
    """The configuration and the gateway that belong together, as far as there are any."""
    from tidegate.doctor.examination import Patient
    from tidegate.doctor.finding import Unseen

    unseen: list[Unseen] = []
    gateway = None if file is None else _checked(file)
    client = _client(file, pid, unseen)
    if client is not None and file is None:
        gateway = _gateway_of(client, unseen)
    elif file is None:
        unseen.append(Unseen("configuration", "none was named, and no gateway runs here whose it could be"))
    return Patient(
        gateway=gateway,
        status=None if client is None else partial(client.get, "/status"),
        prefixes=prefixes,
        unseen=tuple(unseen),
    )


def _checked(file: Path) -> Gateway:
    from tidegate.config.check import check
    from tidegate.config.findings import render

    snapshot, findings = check(file)
    if snapshot is None:
        typer.echo(render(findings), err=True)
        raise typer.Exit(EXIT_INVALID)
    return snapshot.gateway


def _client(file: Path | None, pid: int | None, unseen: list[Unseen]) -> ControlClient | None:
    """The gateway with that pid, the one that runs with that file, or the only one."""
    from tidegate.doctor.finding import Unseen

    if pid is not None:
        return reach(pid)
    try:
        running = runtime_directory.find_running(runtime_directory.default())
        if file is None:
            return reach(None) if running else None
        clients = [reach(one) for one in running]
        return next((one for one in clients if _is_same(one.get("/status")["snapshot"].get("source"), file)), None)
    except StartError as error:
        if file is None and "--pid" in str(error):
            raise
        unseen.append(Unseen("running-gateway", str(error)))
        return None


def _is_same(source: str | None, file: Path) -> bool:
    """Whether both names lead to one file."""
    try:
        return bool(source) and file.samefile(source or "")
    except OSError:
        return False


def _gateway_of(client: ControlClient, unseen: list[Unseen]) -> Gateway | None:
    """What the running gateway's file says; from here, where its secrets may not be at hand."""
    from tidegate.config.check import check
    from tidegate.doctor.finding import Unseen

    try:
        source = client.get("/status")["snapshot"].get("source")
    except StartError as error:
        unseen.append(Unseen("running-gateway", str(error)))
        return None
    if not source:
        unseen.append(Unseen("configuration", f"the gateway with pid {client.pid} runs without a file"))
        return None
    snapshot, findings = check(source)
    if snapshot is None:
        unseen.append(Unseen("configuration", f"it is not valid from here: {findings[0]}"))
        return None
    return snapshot.gateway


def _show(report: Report) -> None:
    from rich.console import Console

    # Lines are as long as they are: a terminal folds them, and a pipe wants them whole.
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for finding in report.findings:
        for line in _lines(finding):
            console.print(line)
    if report.directions:
        console.print("directions")
        for direction in report.directions:
            console.print(f"  {_shown(str(direction))}", style="red" if direction.is_failing else "")
    for one in report.unseen:
        console.print(f"could not look at {one.check}: {_shown(one.why)}", style="dim")
    counts = [
        f"{count} {name if count == 1 or name == 'serious' else f'{name}s'}"
        for name, count in report.counts.items()
        if count
    ]
    console.print(f"{len(report.looked)} checks: {', '.join(counts) or 'nothing found'}")


def _lines(finding: Finding) -> list[Text]:
    from rich.text import Text

    from tidegate.doctor.finding import INCIDENTS

    head = Text.assemble(
        (finding.severity, _COLOURS[finding.severity]),
        " ",
        (_shown(finding.subject), "bold"),
        f": {_shown(finding.seen)}",
    )
    because = _shown(finding.why)
    if finding.incident:
        because += f" [{finding.incident}: {INCIDENTS[finding.incident]}]"
    return [head, Text(f"  why   {because}"), Text.assemble("  mend  ", (_shown(finding.mend), "green"))]


def _shown(text: str) -> str:
    """Names come from files and servers: what would move the cursor of a terminal is shown, not sent."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
