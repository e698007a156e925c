"""All verbs in one application. Exit codes: 0 done, 1 failed, 2 usage, 3 invalid configuration."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from tidegate import __version__
from tidegate.cli.bench import bench
from tidegate.cli.check import check
from tidegate.cli.doctor import doctor
from tidegate.cli.lab import lab
from tidegate.cli.profile import profile
from tidegate.cli.quickstart import quickstart
from tidegate.cli.record import record
from tidegate.cli.reload import reload
from tidegate.cli.run import run
from tidegate.cli.status import status
from tidegate.cli.stop import stop
from tidegate.cli.upgrade import upgrade
from tidegate.process.failure import EXIT_FAILED, EXIT_INVALID, EXIT_USAGE, StartError, in_one_line

__all__ = ["main"]

app = typer.Typer(
    name="tidegate",
    help="An API gateway: one configuration file, filters in Python, a compiled data plane.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (run, check, reload, upgrade, status, stop, quickstart, bench, doctor, profile):
    app.command()(verb)
app.add_typer(record)
app.add_typer(lab)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        print(f"tidegate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit code."""
    _open_standard_descriptors()
    try:
        app(args=None if arguments is None else list(arguments), prog_name="tidegate")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else EXIT_FAILED
        return code if code in (0, EXIT_USAGE, EXIT_INVALID) else EXIT_FAILED
    except StartError as error:
        return _fail(str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last place where it can become a line
        return _fail(in_one_line(error), EXIT_FAILED)
    return 0


def _open_standard_descriptors() -> None:
    """Fills 0, 1 and 2 where they are closed: a socket that got such a number would be written messages into."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number: this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _fail(message: str, code: int) -> int:
    print(f"tidegate: {message}", file=sys.stderr)
    return code
