"""``tidegate reload``."""

import json
import sys
from typing import Annotated, Any

import typer

from tidegate.cli.reach import PidOption, reach
from tidegate.process.failure import EXIT_FAILED, EXIT_INVALID

__all__ = ["reload"]

_EXIT = {"active": 0, "unchanged": 0, "invalid": EXIT_INVALID, "not_published": EXIT_FAILED}


def reload(
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of it as JSON.")] = False,
    pid: PidOption = None,
) -> None:
    """Have the running gateway read its configuration file again: active on all workers, or on none."""
    outcome = reach(pid, timeout_s=120.0).ask("POST", "/reload")
    if as_json:
        print(json.dumps(outcome, indent=2))
    else:
        _show(outcome)
    raise typer.Exit(_EXIT.get(outcome["result"], EXIT_FAILED))


def _show(outcome: dict[str, Any]) -> None:
    from tidegate.config.findings import Finding, render

    findings = [Finding(**one) for one in outcome["findings"]]
    if findings:
        print(render(findings), file=sys.stderr)
    match outcome["result"]:
        case "active" | "unchanged":
            print(f"tidegate: {outcome['message']} ({outcome['took_s']:.2f} s)")
        case "invalid":
            print(f"tidegate: not reloaded: configuration {outcome['number']} stays active", file=sys.stderr)
        case _:
            print(f"tidegate: not reloaded: {outcome['message']}", file=sys.stderr)
