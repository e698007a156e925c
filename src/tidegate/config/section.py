"""A section of the configuration: a frozen dataclass whose tables are read-only too.

A snapshot is thereby immutable all the way down.
"""

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
        for option in fields(self):
            value = getattr(self, option.name)
            if isinstance(value, dict):
                object.__setattr__(self, option.name, frozen(value))


def frozen(value: Any) -> Any:
    """``value`` with its tables read-only and its lists as tuples."""
    if isinstance(value, dict):
        return MappingProxyType({key: frozen(inner) for key, inner in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(inner) for inner in value)
    return value
