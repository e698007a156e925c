"""Files by the ends of their names: ``.html``, ``.svg``, ``.json`` (speedscope), ``.folded``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tidegate.process.failure import StartError
from tidegate.profile.flame_graph import page, picture
from tidegate.profile.speedscope import speedscope
from tidegate.profile.stacks import Stacks

__all__ = ["FORMATS", "check_name", "write"]

FORMATS = (".html", ".svg", ".json", ".folded")


def check_name(path: Path) -> None:
    """StartError when the name says no format, or nothing can be written there: better now than after a minute."""
    if path.suffix not in FORMATS:
        raise StartError(f"{path}: the name of a profile ends with {', '.join(FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise StartError(f"{path}: there is no such directory")


def write(path: Path, stacks: Stacks, title: str, notes: Sequence[str] = ()) -> None:
    """Writes it. StartError when that cannot be."""
    match path.suffix:
        case ".svg":
            text = picture(stacks, title)
        case ".json":
            text = json.dumps(speedscope(stacks, title), ensure_ascii=False)
        case ".folded":
            text = stacks.folded()
        case _:
            text = page(stacks, title, list(notes))
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror or error}") from error
