"""YAML, read from the parser's events: 1.2 core schema (so that ``off`` and ``no`` are text), no tags, one document.

Aliases are followed, up to a bound on what they add up to: nine lines of them can stand for a billion values.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from tidegate.config.findings import Finding, Path, format_path
from tidegate.config.load import DEEPEST, Position, Source

__all__ = ["parse"]

# libyaml where the wheel has it: ten times as fast, same events.
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_MOST_VALUES = 5_000_000
_KEY = "\0"  # no anchor has this name: marks a table or list in the place of a key
_TRUE, _FALSE, _NULL = {"true", "True", "TRUE"}, {"false", "False", "FALSE"}, {"", "~", "null", "Null", "NULL"}
_INT = re.compile(r"[-+]?[0-9]{1,40}")
_BASED = re.compile(r"0o([0-7]{1,40})|0x([0-9a-fA-F]{1,40})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,4})?")
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(slots=True)
class _Open:
    """A table or list whose end has not come yet."""

    value: dict[str, Any] | list[Any]
    path: Path
    anchor: str | None
    start: Position
    key: str | None = None
    key_position: Position = (1, 1)
    count: int = 1


@dataclass(slots=True)
class _Reader:
    source: Source
    positions: dict[Path, Position] = field(default_factory=dict)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)
    root: Any = None
    count: int = 0

    def find(self, path: Path, position: Position, message: str) -> None:
        finding = Finding(
            file=self.source.file, path=format_path(path), line=position[0], column=position[1], message=message
        )
        self.source.findings.append(finding)

    def read(self) -> bool:
        """Whether the text was read to its end."""
        documents = 0
        for event in yaml.parse(self.source.text, Loader=_LOADER):
            mark: Any = event.start_mark
            position = (mark.line + 1, mark.column + 1)
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        self.find((), position, "has a second document, which nothing would read")
                        return True
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    if len(self.stack) > DEEPEST:
                        self.find((), position, "is nested too deeply")
                        return False
                    self._refuse_tag(event, position)
                    self._open({} if isinstance(event, yaml.MappingStartEvent) else [], position, event.anchor)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._close()
                case yaml.ScalarEvent():
                    self._refuse_tag(event, position)
                    is_plain = event.style is None or event.style == ""
                    is_key = bool(self.stack) and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None
                    self._put(event.value if is_key or not is_plain else _plain(event.value), position, event.anchor)
                case yaml.AliasEvent():
                    self._alias(event.anchor, position)
            if self.count > _MOST_VALUES:
                self.find((), position, f"stands for more than {_MOST_VALUES} values")
                return False
        return True

    def _refuse_tag(self, event: Any, position: Position) -> None:
        if event.tag is not None and event.tag != "!":
            self.find((), position, f"has the tag {event.tag}; no tags are read")

    def _place(self, position: Position) -> Path | None:
        """The path of the value that comes now, or None when what comes is a key."""
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.value, list):
            return (*top.path, len(top.value))
        if top.key is None:
            top.key_position = position
            return None
        return (*top.path, top.key)

    def _attach(self, value: Any, path: Path, position: Position, count: int) -> None:
        self.count += count
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        top.count += count
        if isinstance(top.value, list):
            self.positions[path] = position
            top.value.append(value)
            return
        key, top.key = top.key or "", None
        if key in top.value:
            self.find(path, top.key_position, f"is given twice; first in line {self.positions[path][0]}")
            return
        self.positions[path] = top.key_position
        top.value[key] = value

    def _open(self, value: dict[str, Any] | list[Any], position: Position, anchor: str | None) -> None:
        path = self._place(position)
        if path is None:
            self.find(self.stack[-1].path, position, "has a table or list for a name")
            self.stack[-1].key = "?"
            path = (*self.stack[-1].path, "?")
            # The key is read as a value of its own and thrown away when the real value comes.
            self.stack.append(_Open(value, path, _KEY, position))
            return
        self.stack.append(_Open(value, path, anchor, position))

    def _close(self) -> None:
        done = self.stack.pop()
        if done.anchor == _KEY:
            return
        if done.anchor is not None:
            self.anchors[done.anchor] = (done.value, done.count)
        self._attach(done.value, done.path, done.start, done.count)

    def _put(self, value: Any, position: Position, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = (value, 1)
        path = self._place(position)
        if path is None:
            self.stack[-1].key = value
        else:
            self._attach(value, path, position, 1)

    def _alias(self, anchor: Any, position: Position) -> None:
        if anchor not in self.anchors:
            self.find(
                self.stack[-1].path if self.stack else (),
                position,
                f"refers to *{anchor} inside itself or before it is there",
            )
            value, count = None, 1
        else:
            value, count = self.anchors[anchor]
        path = self._place(position)
        if path is None:
            self.stack[-1].key = value if isinstance(value, str) else "?"
        else:
            self._attach(_copy(value) if count + self.count <= _MOST_VALUES else None, path, position, count)


def parse(source: Source) -> None:
    """Fills ``source`` from its text: the tree and positions, or a finding about the syntax."""
    reader = _Reader(source)
    try:
        if not reader.read():
            return
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        problem = error.problem or error.context or ""
        # The scanner reads a kilobyte ahead of the events that are counted above, and has a bound of its own.
        is_deep = "nesting depth" in problem
        reader.find((), (line, column), "is nested too deeply" if is_deep else f"is not YAML: {problem}")
        return
    except yaml.YAMLError as error:
        reader.find((), (1, 1), f"is not YAML: {str(error).splitlines()[0]}")
        return
    except (ValueError, RecursionError) as error:
        reader.find((), (1, 1), f"is not YAML: {error}")
        return
    if reader.root is None:
        reader.root = {}
    if not isinstance(reader.root, dict):
        reader.find((), (1, 1), "is not a table of options")
        return
    source.tree = reader.root
    source.find_positions = lambda: reader.positions


def _plain(text: str) -> Any:
    """What an unquoted scalar stands for in the core schema of YAML 1.2."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text in _NULL:
        return None
    if _INT.fullmatch(text):
        return int(text)
    if (based := _BASED.fullmatch(text)) is not None:
        return int(based[1], 8) if based[1] else int(based[2], 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if (special := _SPECIAL.fullmatch(text)) is not None:
        return float("nan") if special[3] else float(f"{special[1]}inf")
    return text


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_copy(inner) for inner in value]
    return value
