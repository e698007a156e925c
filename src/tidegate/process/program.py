"""Which installation of the program new processes run: an interpreter, and where it finds the package and filters."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import msgspec

__all__ = ["Program"]


class Program(msgspec.Struct, frozen=True):
    """An interpreter with what it needs to find the same modules as whoever named it.

    ``python_path``: ``sys.path`` of the processes it runs. ``environment_path``: ``PYTHONPATH`` while they start, by
    which the package itself is found; None when it is not set.
    """

    python: str
    python_path: list[str]
    environment_path: str | None = None

    @classmethod
    def running(cls, python_path: list[str]) -> "Program":
        """The one this process runs."""
        return cls(sys.executable, python_path, os.environ.get("PYTHONPATH"))

    def command(self, module: str, *arguments: str) -> list[str]:
        """How ``python -m module`` is called."""
        # -P: nothing is imported from the directory the gateway happens to be started in.
        return [self.python, "-P", "-m", module, *arguments]

    def environment(self) -> dict[str, str]:
        """Of its processes: ours, but for the place where the package is found."""
        environment = dict(os.environ)
        environment.pop("PYTHONPATH", None)
        if self.environment_path is not None:
            environment["PYTHONPATH"] = self.environment_path
        return environment

    def become(self, module: str, arguments: Sequence[str]) -> NoReturn:
        """Replaces this process by it. OSError: it could not be started, and we go on."""
        os.execve(self.python, self.command(module, *arguments), self.environment())  # noqa: S606 - no shell
