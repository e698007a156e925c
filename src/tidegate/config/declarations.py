"""The declared options as values: what messages, JSON Schema and the manual are derived from."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Le

from tidegate.config.filters import FilterUse
from tidegate.config.findings import Path
from tidegate.config.kinds import Doc, Kind, Off, Shorthand
from tidegate.config.section import Section

__all__ = [
    "REQUIRED",
    "Declared",
    "choices",
    "declared",
    "declared_at",
    "expectation",
    "markers",
    "section_in",
    "spelling",
    "split",
    "walk",
]

REQUIRED: Any = object()


@dataclass(frozen=True, slots=True)
class Declared:
    """One option of a section."""

    name: str
    annotation: Any
    doc: str
    default: Any

    @property
    def is_required(self) -> bool:
        """Whether the file has to say it."""
        return self.default is REQUIRED


_declared: dict[Any, Mapping[str, Declared]] = {}


def declared(section: type[Section]) -> Mapping[str, Declared]:
    """The options of ``section``, in order."""
    if section not in _declared:
        _declared[section] = _read(section)
    return _declared[section]


def _read(section: type[Section]) -> Mapping[str, Declared]:
    hints = get_type_hints(section, include_extras=True)
    found = {}
    for field in dataclasses.fields(section):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        elif default is dataclasses.MISSING:
            default = REQUIRED
        doc = next((marker.text for marker in markers(hints[field.name]) if isinstance(marker, Doc)), "")
        found[field.name] = Declared(field.name, hints[field.name], doc, default)
    return found


@cache
def split(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type and the markers of an annotation; ``X | None`` counts as X."""
    marks: tuple[Any, ...] = ()
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            marks = (*more, *marks)
        elif get_origin(annotation) in (Union, UnionType) and len(rest := _without_none(annotation)) == 1:
            annotation = rest[0]
        else:
            return annotation, marks


def _without_none(annotation: Any) -> list[Any]:
    return [part for part in get_args(annotation) if part is not NoneType]


def markers(annotation: Any) -> tuple[Any, ...]:
    """The markers of an annotation, inner ones first."""
    return split(annotation)[1]


def section_in(annotation: Any) -> type[Section] | None:
    """The section that an annotation leads to, directly or as element of a list or table."""
    kind, _ = split(annotation)
    if isinstance(kind, type) and issubclass(kind, Section):
        return kind
    origin = get_origin(kind)
    if origin is tuple:
        return section_in(get_args(kind)[0])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return section_in(get_args(kind)[1])
    return None


def declared_at(section: type[Section], path: Path) -> Any:
    """The annotation of what is at ``path``, or None when nothing is declared there."""
    annotation: Any = section
    for part in path:
        kind, _ = split(annotation)
        origin = get_origin(kind)
        if isinstance(kind, type) and issubclass(kind, Section):
            known = declared(kind).get(str(part))
            if known is None:
                return None
            annotation = known.annotation
        elif origin is tuple:
            annotation = get_args(kind)[0]
        elif isinstance(origin, type) and issubclass(origin, Mapping):
            annotation = get_args(kind)[1]
        else:
            return None
    return annotation


def choices(annotation: Any) -> list[str]:
    """The words that an option may be, when it is one of a few."""
    kind, marks = split(annotation)
    found = ["off"] if any(isinstance(mark, Off) for mark in marks) else []
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    for part in parts:
        inner = split(part)[0]
        if get_origin(inner) is Literal:
            found += [value for value in get_args(inner) if isinstance(value, str)]
    return found


def expectation(annotation: Any) -> str:
    """What an option may be, in words."""
    kind, marks = split(annotation)
    marked = next((mark for mark in marks if isinstance(mark, Kind)), None)
    text = marked.expects if marked is not None else _expectation(kind, marks)
    short = next((mark for mark in marks if isinstance(mark, Shorthand)), None)
    if short is not None:
        text = f"{expectation(declared(kind)[short.field].annotation)}, or {text}"
    return f'{text}, or "off"' if any(isinstance(mark, Off) for mark in marks) else text


def _expectation(kind: Any, marks: tuple[Any, ...]) -> str:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return " or ".join(expectation(part) for part in _without_none(kind))
    if origin is Literal:
        spelt = [spelling(value) for value in get_args(kind)]
        return f"{', '.join(spelt[:-1])} or {spelt[-1]}" if len(spelt) > 1 else spelt[0]
    if origin is tuple or kind in (tuple, list):
        inner = get_args(kind)
        return f"a list, each {expectation(inner[0])}" if inner else "a list"
    if (isinstance(kind, type) and issubclass(kind, Section)) or (
        isinstance(origin, type) and issubclass(origin, Mapping)
    ):
        return "a table"
    if kind in (int, float):
        low = next((mark.ge for mark in marks if isinstance(mark, Ge)), None)
        high = next((mark.le for mark in marks if isinstance(mark, Le)), None)
        number = "a whole number" if kind is int else "a number"
        if low is None and high is None:
            return number
        return f"{number} from {low} to {high}" if high is not None else f"{number} from {low}"
    return {str: "text", bool: "true or false"}.get(kind, "a value")


def spelling(value: Any, annotation: Any = None) -> str:
    """How a value is written in TOML; ``annotation`` says which spelling a plain value goes back to."""
    kind, marks = split(annotation) if annotation is not None else (None, ())
    if value is None:
        return '"off"' if any(isinstance(mark, Off) for mark in marks) else ""
    marked = next((mark for mark in marks if isinstance(mark, Kind)), None)
    if marked is not None:
        return marked.show(value)
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case int() | float():
            return str(value)
        case tuple() | list():
            return f"[{', '.join(spelling(one, get_args(kind)[0] if get_args(kind) else None) for one in value)}]"
        case Mapping():
            return "{}" if not value else f"{{ {', '.join(f'{key} = {spelling(one)}' for key, one in value.items())} }}"
    return ""


_marked: dict[tuple[Any, type], list[Declared]] = {}


def _with_marker(section: type[Section], marker: type) -> list[Declared]:
    """The options of ``section`` whose annotation has such a marker, at any depth."""
    key = (section, marker)
    if key not in _marked:
        _marked[key] = [known for known in declared(section).values() if _mentions(known.annotation, marker)]
    return _marked[key]


def _mentions(annotation: Any, marker: type) -> bool:
    kind, marks = split(annotation)
    if any(isinstance(mark, marker) for mark in marks):
        return True
    if isinstance(kind, type) and issubclass(kind, Section):
        return any(_mentions(known.annotation, marker) for known in declared(kind).values())
    return any(_mentions(part, marker) for part in get_args(kind) if part is not Ellipsis)


def walk(section: Section, marker: type, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Every value below ``section`` whose option has such a marker: path, that marker, value."""
    for known in _with_marker(type(section), marker):
        yield from _walk(getattr(section, known.name), known.annotation, marker, (*path, known.name))


def _walk(value: Any, annotation: Any, marker: type, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if value is None or value == () or isinstance(value, FilterUse):  # most of what thousands of routes may have
        return
    if isinstance(value, Section):
        yield from walk(value, marker, path)
        return
    kind, marks = split(annotation)
    if isinstance(value, tuple):
        inner = get_args(kind)[0]
        for index, one in enumerate(value):
            yield from _walk(one, inner, marker, (*path, index))
    elif isinstance(value, Mapping):
        inner = get_args(kind)[1]
        for key, one in value.items():
            yield from _walk(one, inner, marker, (*path, key))
    else:
        mark = next((mark for mark in marks if isinstance(mark, marker)), None)
        if mark is not None:
            yield path, mark, value
