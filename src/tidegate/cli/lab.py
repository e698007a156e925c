"""``tidegate lab``: incidents played on this machine, and limits in virtual time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.process.failure import EXIT_FAILED, EXIT_USAGE, StartError

if TYPE_CHECKING:
    from tidegate.lab.play import Played
    from tidegate.lab.scenario import Scenario as Incident
    from tidegate.lab.sim.outcome import Outcome
    from tidegate.lab.sim.scenario import Scenario
    from tidegate.lab.stage import Length

__all__ = ["lab"]

lab = typer.Typer(
    name="lab",
    help="Play what can happen to a gateway, on this machine.",
    no_args_is_help=True,
    add_completion=False,
)


@lab.callback()
def _root() -> None:
    pass


@lab.command("list")
def list_() -> None:
    """Say which incidents there are."""
    from tidegate.lab.scenarios import SCENARIOS

    width = max(map(len, SCENARIOS))
    for name, incident in SCENARIOS.items():
        print(f"{name:<{width}}  {incident.title}")


@lab.command("run")
def run(
    names: Annotated[list[str], typer.Argument(help="Incidents to play, or all.", metavar="NAME...")],
    *,
    full: Annotated[bool, typer.Option("--full", help="A load of 20 s for each half instead of 4 s.")] = False,
    short: Annotated[bool, typer.Option("--short", help="One of 1.5 s.")] = False,
    runs: Annotated[int, typer.Option(help="How often each is played.", min=1, max=1000)] = 1,
    report: Annotated[Path | None, typer.Option(help="Write a page with pictures, for people.")] = None,
    out: Annotated[Path | None, typer.Option(help="Draw both halves of each (SVG) into this directory.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write one JSON document; - prints it.")] = None,
) -> None:
    """Play incidents on this machine, as they happened and through Tidegate; exit code 1: a promise did not hold."""
    from tidegate.lab.scenarios import SCENARIOS
    from tidegate.lab.stage import Length

    if full and short:
        raise StartError("--full or --short: only one of them", EXIT_USAGE)
    chosen = [name for given in names for name in (SCENARIOS if given == "all" else [given])]
    incidents = [SCENARIOS[name] for name in dict.fromkeys(_known(chosen, SCENARIOS, "incident"))]
    length = Length.FULL if full else Length.SHORT if short else Length.USUAL
    _play_incidents(incidents, length, runs, report=report, out=out, json_file=json_file)


def _play_incidents(
    incidents: Sequence[Incident],
    length: Length,
    runs: int,
    *,
    report: Path | None,
    out: Path | None,
    json_file: Path | None,
) -> None:
    import json
    import sys
    import time

    from rich.console import Console

    from tidegate.lab.document import document_of
    from tidegate.lab.page import page
    from tidegate.lab.play import play
    from tidegate.lab.summary import show

    began_unix_s = time.time()
    is_printed = json_file is not None and str(json_file) == "-"
    # A table cut to fit hides figures; a terminal folds.
    console = Console(highlight=False, width=1000)

    def ended(one: Played) -> None:
        if not is_printed:
            show(one, console)

    played = play(incidents, length, runs, lambda text: print(text, file=sys.stderr, flush=True), ended)
    text = json.dumps(document_of(played, length, began_unix_s), indent=1)
    if is_printed:
        print(text)
    elif json_file is not None:
        _write(json_file, text)
    if report is not None:
        _write(report, page(played, began_unix_s))
    if out is not None:
        _draw_halves(played, out)
    if not all(one.is_good for one in played):
        raise typer.Exit(EXIT_FAILED)


def _draw_halves(played: Sequence[Played], directory: Path) -> None:
    from tidegate.lab.picture import pictures

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"cannot write to {directory}: {error.strerror or error}") from error
    for one in played:
        for run in one.runs[-1:]:
            happened, through = pictures(run)
            _write(directory / f"{one.scenario.name}-happened.svg", happened)
            _write(directory / f"{one.scenario.name}-through.svg", through)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror or error}") from error


@lab.command("sim")
def sim(
    names: Annotated[
        list[str] | None, typer.Argument(help="Scenarios to play; none: all of them.", metavar="[NAME]...")
    ] = None,
    *,
    limits: Annotated[
        list[str] | None,
        typer.Option("--limit", "-l", help="A limit to play with; may be repeated. None: all, a fixed one and none."),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Scenarios of your own, as a TOML file.")] = None,
    out: Annotated[Path | None, typer.Option(help="Draw pictures (SVG) into this directory.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's.")] = None,
    is_list: Annotated[bool, typer.Option("--list", help="Say which scenarios there are.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, second by second.")] = False,
) -> None:
    """Play limits against a backend in virtual time: goodput, refusals, queue delay and the limit itself."""
    from tidegate.lab.sim.contenders import CONTENDERS
    from tidegate.lab.sim.scenario import shipped

    try:
        scenarios = shipped(file)
    except OSError as error:
        raise StartError(f"cannot read {file}: {error.strerror or error}") from error
    except ValueError as error:
        raise StartError(f"{file}: {error}") from error
    if is_list:
        for name, scenario in scenarios.items():
            print(f"{name}: {scenario.title}. {scenario.lesson}")
        return
    chosen = {name: scenarios[name] for name in _known(names, scenarios, "scenario")}
    contenders = _known(limits, CONTENDERS, "limit")
    played = {name: _play(scenario, contenders, seed) for name, scenario in chosen.items()}
    if out is not None:
        _draw(played, out)
    if as_json:
        _print_json(played)
    else:
        for name, outcomes in played.items():
            _print_table(name, outcomes)


def _known(given: Sequence[str] | None, known: Collection[str], kind: str) -> list[str]:
    for name in given or ():
        if name not in known:
            raise StartError(f"no {kind} is called {name!r}; there are {', '.join(known)}", exit_code=EXIT_USAGE)
    return list(given or known)


def _play(scenario: Scenario, contenders: Sequence[str], seed: int | None) -> list[Outcome]:
    import msgspec

    from tidegate.lab.sim.play import play

    if seed is not None:
        scenario = msgspec.structs.replace(scenario, seed=seed)
    return [play(scenario, contender) for contender in contenders]


def _draw(played: dict[str, list[Outcome]], directory: Path) -> None:
    from tidegate.lab.sim.picture import comparison, portrait

    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, outcomes in played.items():
            for outcome in outcomes:
                (directory / f"{name}-{outcome.contender}.svg").write_text(portrait(outcome), encoding="utf-8")
            if len(outcomes) > 1:
                (directory / f"{name}.svg").write_text(comparison(outcomes), encoding="utf-8")
    except OSError as error:
        raise StartError(f"cannot write to {directory}: {error.strerror or error}") from error


def _print_json(played: dict[str, list[Outcome]]) -> None:
    import msgspec

    document = {
        name: [{"summary": one.summary(), "statistics": one.statistics, "seconds": one.seconds} for one in outcomes]
        for name, outcomes in played.items()
    }
    print(msgspec.json.encode(document).decode())


def _print_table(name: str, outcomes: Sequence[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    scenario = outcomes[0].scenario
    streams = sorted(outcomes[0].summary().served)
    table = Table("limit", box=None)
    titles = [f"served {stream}" if len(streams) > 1 else "served" for stream in streams]
    titles += ["of possible", "refused", "timed out", "queue ms", "99 %", "target", "limit from", "to", "recovered s"]
    for title in titles:
        table.add_column(title, justify="right")
    for outcome in outcomes:
        summary = outcome.summary()
        is_limited = summary.limit_most < 100_000
        table.add_row(
            summary.contender,
            *(f"{summary.served[stream]:.2%}" for stream in streams),
            f"{summary.goodput:.1%}",
            str(summary.refused),
            str(summary.timed_out),
            f"{summary.queue_delay_ms:.0f}",
            f"{summary.queue_delay_p99_ms:.0f}",
            f"{summary.target_ms:.0f}" if summary.target_ms else "",
            *((str(summary.limit_least), str(summary.limit_most)) if is_limited else ("", "")),
            "" if summary.recovered_s is None else str(summary.recovered_s),
        )
    # A table cut to fit hides figures; a terminal folds.
    console = Console(highlight=False, width=1000)
    console.print(f"{name}: {scenario.title}", style="bold")
    if scenario.trouble:
        console.print(f"figures of the seconds {scenario.trouble[0]} to {scenario.trouble[1]}")
    console.print(table)
    console.print()
