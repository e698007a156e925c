"""The command line: one file per verb, each importing what it needs only when it runs.

`app` puts the verbs together and turns whatever goes wrong into one line and an exit code; `launch` gives way to the
supervisor, in the same process; `reach` finds the running gateway that a command is for.
"""

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb with the arguments given, or those of the process; returns the exit code."""
    from tidegate.cli.app import main as run_verb

    return run_verb(arguments)
