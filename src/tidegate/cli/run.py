"""``tidegate run FILE``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tidegate.process.failure import EXIT_INVALID

__all__ = ["run"]


def run(file: Annotated[Path, typer.Argument(help="The configuration: TOML, or YAML by its name.")]) -> None:
    """Run the gateway until it is told to stop (SIGTERM or Ctrl-C drain, a second one stops at once)."""
    from tidegate.cli.launch import launch
    from tidegate.config.check import check
    from tidegate.config.findings import render

    snapshot, findings = check(file)
    if findings:
        print(render(findings), file=sys.stderr)
    if snapshot is None:
        raise typer.Exit(EXIT_INVALID)
    launch(snapshot)
