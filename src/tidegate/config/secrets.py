"""Secrets are references, ``env:NAME`` or ``file:PATH``: no configuration, snapshot or ``/status`` ever holds them."""

import os
from pathlib import Path

__all__ = ["is_reference", "reveal"]


def is_reference(text: str) -> bool:
    """Whether ``text`` refers to a secret rather than being one."""
    return text.startswith(("env:", "file:"))


def reveal(text: str) -> str:
    """The secret that ``text`` refers to, or ``text`` itself when it is no reference.

    The final newline of a file is not part of it. Raises ValueError when the variable is not set or the file cannot be
    read.
    """
    kind, _, name = text.partition(":")
    if kind == "env":
        secret = os.environ.get(name)
        if secret is None:
            raise ValueError(f"environment variable {name} is not set")
        return secret
    if kind == "file":
        try:
            return Path(name).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise ValueError(f"{name} cannot be read: {reason}") from None
    return text
