"""``tidegate record`` and ``tidegate record show``."""

from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.reach import PidOption, reach
from tidegate.process.failure import StartError

__all__ = ["record"]

record = typer.Typer(
    name="record",
    help="Write what the flight recorder of the running gateway holds to a file; or show such a file.",
    invoke_without_command=True,
    add_completion=False,
)


@record.callback()
def write(context: typer.Context, pid: PidOption = None) -> None:
    """Write the last ten minutes of the running gateway to a file and print its path."""
    if context.invoked_subcommand is None:
        print(reach(pid).post("/record", {})["path"])


@record.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A recording, as the gateway or tidegate record wrote it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print all that is in it, as one JSON document.")] = False,
) -> None:
    """Draw a recording."""
    from tidegate.observe.recording_file import RecordingError, read_recording

    try:
        recording = read_recording(file)
    except RecordingError as error:
        raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(f"cannot read {file}: {error.strerror or error}") from error
    if as_json:
        import msgspec

        print(msgspec.json.encode(recording).decode())
        return
    from tidegate.cli.drawing import draw

    draw(recording)
