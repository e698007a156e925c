"""Shape of the configuration: unknown names, wrong types, values out of bounds, by pydantic on the declarations.

What is wrong is reported and then left out, so that the rules about meaning see the rest and speak in the same run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Generic, TypeVar

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from tidegate.config.declarations import choices, declared, declared_at, expectation, markers, section_in, split
from tidegate.config.findings import Finding, Path, nearest
from tidegate.config.kinds import Off, Secret, describe
from tidegate.config.load import Source
from tidegate.config.section import Section

__all__ = ["Shaped", "shape"]

S = TypeVar("S", bound=Section)

# Tables and options of DESIGN section 11 that this version does not have yet: said so, instead of called misspelt.
_LATER = frozenset({"cache", "health", "push"})


@dataclass(slots=True)
class Shaped(Generic[S]):
    """A section built from what was right in a tree.

    ``section`` is None when not even that could be built. ``lost`` are the paths of what was left out; ``kept`` says
    for a list that lost elements which are left.
    """

    section: S | None
    lost: set[Path] = field(default_factory=set)
    kept: dict[Path, list[int]] = field(default_factory=dict)

    def original(self, path: Path) -> Path:
        """The path in the file of what is at ``path`` in the section."""
        found: Path = ()
        for part in path:
            if isinstance(part, int) and part < len(self.kept.get(found, ())):
                found = (*found, self.kept[found][part])
            else:
                found = (*found, part)
        return found


_adapters: dict[Any, TypeAdapter[Any]] = {}


def adapter(section: type[S]) -> TypeAdapter[S]:
    """The checker of a section, built once."""
    if section not in _adapters:
        _adapters[section] = TypeAdapter(section)
    return _adapters[section]


def shape(source: Source, section: type[S], tree: dict[str, Any], directory: FilePath, prefix: Path = ()) -> Shaped[S]:
    """The section in ``tree``; adds a finding to ``source`` for each thing that does not fit.

    ``prefix`` is the path of ``tree`` in the file, ``directory`` is where relative paths begin.
    """
    shaped = Shaped[S](None)
    work = msgspec.json.decode(msgspec.json.encode(tree))
    is_first = True
    while work is not None:
        try:
            shaped.section = adapter(section).validate_json(msgspec.json.encode(work), context={"directory": directory})
            break
        except ValidationError as error:
            problems = _problems(error.errors(include_url=False), work)
            if is_first:
                source.findings += _Report(source, work, section, prefix).findings(problems)
            is_first = False
            work = _without(work, problems, shaped)
    return shaped


def _problems(errors: list[ErrorDetails], tree: Any) -> dict[Path, ErrorDetails]:
    """One error for each place: pydantic reports a union once a member, and a list again when elements of it failed."""
    found: dict[Path, ErrorDetails] = {}
    for error in errors:
        path = _real_path(error["loc"], tree)
        if error["type"] == "missing":
            path = (*path, error["loc"][-1])
        if path not in found or error["type"] == "tidegate":
            found[path] = error
    parents = {path[:end] for path in found for end in range(len(path))}
    return {path: error for path, error in found.items() if not (path in parents and error["type"] == "too_short")}


def _real_path(loc: Path, tree: Any) -> Path:
    """The part of ``loc`` that exists in the tree: behind it pydantic adds names of union members."""
    path: Path = ()
    for part in loc:
        is_there = part in tree if isinstance(tree, dict) else isinstance(tree, list) and isinstance(part, int)
        if not is_there:
            break
        tree = tree[part]
        path = (*path, part)
    return path


def _at(tree: Any, path: Path) -> Any:
    for part in path:
        tree = tree[part]
    return tree


@dataclass(frozen=True, slots=True)
class _Report:
    """Puts pydantic's errors into our words, from what the option declares and what the file says."""

    source: Source
    tree: Any
    section: type[Section]
    prefix: Path

    def findings(self, problems: dict[Path, ErrorDetails]) -> Iterator[Finding]:
        for path, error in problems.items():
            place = (*self.prefix, *path)
            if any(place[:end] in self.source.refused for end in range(len(place) + 1)):
                continue
            match error["type"]:
                case "missing":
                    yield self._missing(path, place)
                case "unexpected_keyword_argument":
                    yield self._unknown(path, place)
                case "tidegate":
                    yield self._misspelt(path, place, error)
                case _:
                    yield self._unfit(path, place)

    def _missing(self, path: Path, place: Path) -> Finding:
        annotation = declared_at(self.section, path)
        expected = expectation(annotation) if annotation is not None else "a value"
        return self.source.finding(place, f"is missing; expected {expected}", expected=expected)

    def _unknown(self, path: Path, place: Path) -> Finding:
        around = declared_at(self.section, path[:-1])
        owner = section_in(around) if around is not None else None
        known = declared(owner) if owner is not None else {}
        name = str(path[-1])
        if name in _LATER:
            return self.source.finding(place, "is not part of this version yet")
        suggestion = nearest(name, [one for one in known if one not in _at(self.tree, path[:-1])])
        expected = f"one of {', '.join(known)}" if known else ""
        message = "unknown field" if suggestion or not known else f"unknown field; expected {expected}"
        return self.source.finding(place, message, expected=expected, suggestion=suggestion)

    def _misspelt(self, path: Path, place: Path, error: ErrorDetails) -> Finding:
        annotation = declared_at(self.section, path)
        reason = str(error.get("ctx", {}).get("reason", error["msg"]))
        if annotation is None:
            return self.source.finding(place, reason)
        suggestion = ""
        if any(isinstance(mark, Off) for mark in markers(annotation)):
            reason += ' (or "off")'
            value = _at(self.tree, path)
            suggestion = nearest(value, ["off"]) if isinstance(value, str) else ""
        return self.source.finding(place, reason, expected=expectation(annotation), suggestion=suggestion)

    def _unfit(self, path: Path, place: Path) -> Finding:
        annotation = declared_at(self.section, path)
        value = _at(self.tree, path)
        if annotation is None:
            return self.source.finding(place, f"{describe(value)} does not fit here")
        expected = expectation(annotation)
        suggestion = nearest(value, choices(annotation)) if isinstance(value, str) else ""
        if value in ([], {}, ""):
            return self.source.finding(place, f"is empty; expected {expected}", expected=expected)
        got = "something else" if any(isinstance(mark, Secret) for mark in markers(annotation)) else describe(value)
        if isinstance(value, str) and split(annotation)[0] in (int, float, bool):
            got = f"the text {got}"
        return self.source.finding(place, f"expected {expected}, got {got}", expected=expected, suggestion=suggestion)


def _without(tree: Any, problems: dict[Path, ErrorDetails], shaped: Shaped[Any]) -> Any:
    """The tree without what is wrong, or None when nothing is left of it. What lacks a part goes as a whole."""
    paths = {path[:-1] if error["type"] == "missing" else path for path, error in problems.items()}
    # From the back, so that the places of what is still to go stay right.
    for path in sorted(paths, key=lambda path: [(isinstance(part, str), part) for part in path], reverse=True):
        if not path:
            return None
        shaped.lost.add(shaped.original(path))
        container = _container(tree, path)
        if isinstance(container, dict):
            container.pop(str(path[-1]), None)
        elif isinstance(container, list) and isinstance(path[-1], int) and path[-1] < len(container):
            where = shaped.original(path[:-1])
            kept = shaped.kept.setdefault(where, list(range(len(container))))
            del container[path[-1]], kept[path[-1]]
    return tree


def _container(tree: Any, path: Path) -> Any:
    for part in path[:-1]:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return None  # what was around it is gone already
    return tree
