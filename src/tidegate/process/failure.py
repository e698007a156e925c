"""Why the gateway cannot run: one clear line for the operator and an exit code, instead of a traceback."""

import sys
import traceback

from tidegate.errors import GatewayError

__all__ = ["EXIT_FAILED", "EXIT_INVALID", "EXIT_USAGE", "StartError", "in_one_line", "report"]

# Exit codes of every verb (0: done).
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INVALID = 3


class StartError(Exception):
    """Says in one line what was tried, what came and what to do."""

    def __init__(self, message: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code


def in_one_line(error: Exception) -> str:
    """What an operator can act on; for a fault of the program itself, also what it was and where."""
    if isinstance(error, StartError | GatewayError | OSError | ValueError | ImportError) and str(error):
        return " ".join(str(error).split())
    where = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" ({where[0].filename}:{where[0].lineno})" if where else ""
    return " ".join(f"{type(error).__name__}: {error}{place}".split())


def report(failure: Exception) -> int:
    """Says on standard error what ended the supervisor; returns the exit code."""
    if isinstance(failure, StartError):
        sys.stderr.write(f"tidegate: {failure}\n")
        return failure.exit_code
    sys.stderr.write(f"tidegate: the supervisor failed: {in_one_line(failure)}\n")
    return EXIT_FAILED
