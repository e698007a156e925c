"""``tidegate lab sim``: limits played in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.process.failure import EXIT_USAGE, StartError

if TYPE_CHECKING:
    from tidegate.lab.sim.outcome import Outcome
    from tidegate.lab.sim.scenario import Scenario

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


def _known(given: Sequence[str] | None, known: Sequence[str] | dict[str, Scenario], kind: str) -> list[str]:
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
