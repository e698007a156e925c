"""A section of the configuration: a frozen dataclass whose tables are read-only too.

A snapshot is thereby immutable all the way down.
"""

import re
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar

__all__ = ["Section", "frozen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Base of every section; a field is an option, declared once."""

    # Read by pydantic when the configuration is checked; a worker never does.
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        cls = type(self)
        for name in _tables.get(cls) or _tables.setdefault(cls, _tables_of(cls)):
            value = getattr(self, name)
            if type(value) is dict:
                object.__setattr__(self, name, frozen(value))


# The fields that may hold a table, by class: a snapshot of ten thousand routes has as many sections, of twenty fields.
_tables: dict[type[Section], tuple[str, ...]] = {}


def _tables_of(cls: type[Section]) -> tuple[str, ...]:
    return tuple(option.name for option in fields(cls) if _MAY_HOLD_A_TABLE.search(repr(option.type)))


_MAY_HOLD_A_TABLE = re.compile("Mapping|dict|Any|object|TypeVar")


def frozen(value: Any) -> Any:
    """``value`` with its tables read-only and its lists as tuples."""
    if isinstance(value, dict):
        return MappingProxyType({key: frozen(inner) for key, inner in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(inner) for inner in value)
    return value
