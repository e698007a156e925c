"""Options that a filter class declares, each once: type, default, unit and prose.

    class PlanHeader(tidegate.Filter):
        header: str = option("X-Plan", "name of the field to set")
        ttl: Annotated[float, Duration()] = option(60.0, "how long a plan is believed")
        table: str = required("name of the table to look in")

Types are those of the schema: plain ones, ``Literal``, tuples, mappings, ``X | None``, and ``Annotated`` with the
markers of :mod:`tidegate.config.kinds`. The declarations become a :class:`Section`, so checks, JSON Schema and manual
treat the options of a filter as those of the gateway itself; :func:`make` turns checked values into an instance.

What concerns several options is checked by a method ``check_options(self)``, if the class has one: it is called on an
instance while the configuration is checked, and the text of a ValueError it raises becomes the finding. In the same way
``check_tables(self, gateway)`` checks the tables that options refer to, in the whole of what the file says.
"""

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, get_origin, get_type_hints

import msgspec

from tidegate.config.section import Section, frozen

__all__ = ["Option", "declared", "make", "option", "required", "section_of"]

T = TypeVar("T")
_MISSING: Any = object()


class Declaration:
    """What :func:`option` leaves in the class body; an instance has the value under the same name."""

    __slots__ = ("default", "doc", "name", "owner")

    def __init__(self, default: Any, doc: str) -> None:
        if not doc:
            raise TypeError("an option says in a sentence what it is for")
        self.default = default
        self.doc = doc
        self.name = ""
        self.owner = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name, self.owner = name, owner.__qualname__

    def __get__(self, instance: object | None, owner: type) -> Any:
        # No __set__: the instance's own attribute, once made, is found first and costs nothing.
        if instance is None or self.default is _MISSING:
            raise AttributeError(
                f"{self.owner}.{self.name} is an option: it has a value in an instance made with options"
            )
        return self.default


def option(default: T, doc: str) -> T:
    """An option with its default; a list or table given as default becomes read-only."""
    return Declaration(frozen(default), doc)  # type: ignore[return-value]


def required(doc: str) -> Any:
    """An option that has no default: the configuration has to say it."""
    return Declaration(_MISSING, doc)


@dataclass(frozen=True, slots=True)
class Option:
    """One declared option, for whoever prints or checks it."""

    name: str
    type: Any
    default: Any
    doc: str

    @property
    def is_required(self) -> bool:
        """Whether the configuration has to say it."""
        return self.default is _MISSING


@functools.cache
def declared(cls: type) -> Mapping[str, Option]:
    """The options of ``cls`` and its bases, by name, in order of declaration; TypeError when one is not annotated."""
    found: dict[str, Option] = {}
    hints: dict[str, Any] | None = None
    for base in reversed(cls.__mro__):
        for name, declaration in vars(base).items():
            if not isinstance(declaration, Declaration):
                found.pop(name, None)  # a subclass settles it
                continue
            if hints is None:
                hints = get_type_hints(cls, include_extras=True)
            if name not in hints or get_origin(hints[name]) is ClassVar:
                raise TypeError(f"option {name} of {cls.__qualname__} has no type: write `{name}: str = option(…)`")
            if name == "class":
                raise TypeError("an option cannot be named class")
            found[name] = Option(name, hints[name], declaration.default, declaration.doc)
    return frozen(found)  # type: ignore[no-any-return]


@functools.cache
def section_of(cls: type) -> type[Section]:
    """A section whose fields are the options of ``cls``."""
    from typing import Annotated

    from tidegate.config.kinds import Doc

    fields = []
    for known in declared(cls).values():
        annotated: Any = Annotated[known.type, Doc(known.doc)]
        if known.is_required:
            fields.append((known.name, annotated, dataclasses.field()))
        elif known.default.__hash__ is None or isinstance(known.default, Mapping | Section):
            # A section is immutable, but pydantic would copy it, which the read-only tables in it do not let.
            fields.append(
                (known.name, annotated, dataclasses.field(default_factory=functools.partial(frozen, known.default)))
            )
        else:
            fields.append((known.name, annotated, dataclasses.field(default=known.default)))
    made = dataclasses.make_dataclass(
        cls.__name__,
        fields,
        bases=(Section,),
        frozen=True,
        kw_only=True,
        slots=True,
        namespace={"__doc__": cls.__doc__},
    )
    made.__module__ = cls.__module__
    return made


def make(cls: type[T], values: Mapping[str, Any]) -> T:
    """An instance of ``cls`` whose options have ``values``, as a snapshot holds them; others have their defaults.

    Raises msgspec.ValidationError when a value does not fit its type, or an option without a default is missing.
    """
    owner: type = cls
    section = msgspec.convert(_thawed(values), type=section_of(owner))
    instance = cls()
    for name in declared(owner):
        object.__setattr__(instance, name, getattr(section, name))
    return instance


def _thawed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _thawed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_thawed(inner) for inner in value]
    return value
