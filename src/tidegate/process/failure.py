"""Why the gateway cannot run: one clear line for the operator and an exit code, instead of a traceback."""

__all__ = ["EXIT_FAILED", "EXIT_INVALID", "EXIT_USAGE", "StartError"]

# Exit codes of every verb (0: done).
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INVALID = 3


class StartError(Exception):
    """Says in one line what was tried, what came and what to do."""

    def __init__(self, message: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code
