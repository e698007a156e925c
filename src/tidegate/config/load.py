"""A configuration file as a tree of plain values that remembers where everything was written.

The tree is tables (dict), lists, text, whole numbers, floats and booleans, however the file spells them. Positions are
looked up only when there is something to say about them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from tidegate.config.findings import Finding, Path, format_path

__all__ = ["DEEPEST", "LARGEST", "Position", "Source", "load", "load_text", "read_text"]

Position = tuple[int, int]
DEEPEST = 32  # levels of nesting; the schema has seven
LARGEST = 64 << 20  # bytes of a file


@dataclass(slots=True)
class Source:
    """One configuration file: its text, its tree, and what was already found wrong with it.

    ``tree`` is None when the file could not be read at all. ``refused`` are paths of values that were found wrong and
    replaced by None.
    """

    file: str
    text: str = ""
    tree: dict[str, Any] | None = None
    findings: list[Finding] = field(default_factory=list)
    refused: set[Path] = field(default_factory=set)
    find_positions: Callable[[], Mapping[Path, Position]] = dict
    _positions: Mapping[Path, Position] | None = None

    def position(self, path: Path) -> Position:
        """Line and column, from 1, of what is at ``path``, or of the nearest table around it."""
        if self._positions is None:
            self._positions = self.find_positions()
        while path and path not in self._positions:
            path = path[:-1]
        return self._positions.get(path, (1, 1))

    def finding(self, path: Path, message: str, **more: Any) -> Finding:
        """A finding about what is at ``path``."""
        line, column = self.position(path)
        return Finding(file=self.file, path=format_path(path), line=line, column=column, message=message, **more)


def load(path: FilePath) -> Source:
    """The configuration file at ``path``: YAML when its name ends in .yaml or .yml, TOML otherwise. Raises nothing."""
    found = read_text(path)
    if isinstance(found, Finding):
        return Source(file=str(path), findings=[found])
    return load_text(found, file=str(path), is_yaml=path.suffix.lower() in (".yaml", ".yml"))


def read_text(path: FilePath) -> str | Finding:
    """The text of a configuration file, or what is wrong with it as a file."""
    file = str(path)
    try:
        with path.open("rb") as opened:
            data = opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Finding(file=file, message=f"cannot be read: {reason}")
    if len(data) > LARGEST:
        return Finding(file=file, message=f"is larger than {LARGEST >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Finding(file=file, line=line, column=1, message="is not UTF-8 text")


def load_text(text: str, *, file: str, is_yaml: bool = False) -> Source:
    """The configuration in ``text``, as if read from ``file``. Raises nothing."""
    from tidegate.config import load_toml, load_yaml

    source = Source(file=file, text=text)
    (load_yaml if is_yaml else load_toml).parse(source)
    if source.tree is not None:
        _check_values(source, source.tree)
    return source


def _check_values(source: Source, tree: dict[str, Any]) -> None:
    """Finds, and replaces by None, what no option can hold: dates, infinities, what is too large or too deep."""
    rest: list[tuple[Path, Any]] = [((), tree)]
    while rest:
        path, container = rest.pop()
        for key, value in list(container.items() if isinstance(container, dict) else enumerate(container)):
            if type(value) is str and value.isascii():  # most are, and there may be a hundred thousand
                continue
            reason = _refusal(value, len(path))
            if reason:
                source.findings.append(source.finding((*path, key), reason))
                source.refused.add((*path, key))
                container[key] = None
            elif isinstance(value, dict | list):
                rest.append(((*path, key), value))


def _refusal(value: Any, depth: int) -> str:
    match value:
        case dict() | list():
            return "is nested too deeply" if depth >= DEEPEST else ""
        case bool() | None:
            return ""
        case int():
            return "" if -(1 << 63) <= value < 1 << 63 else "is a number beyond 64 bits"
        case float():
            return "" if math.isfinite(value) else "is not a finite number"
        case str():
            return (
                "" if value.isascii() or not any(0xD800 <= ord(c) < 0xE000 for c in value) else "has half a character"
            )
    return "is a date or a time, which no option is; write it in quotes if it is meant as text"
