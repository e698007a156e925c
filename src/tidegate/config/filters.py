"""``[filters.NAME]``: a filter class and its options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from tidegate.config.kinds import Doc
from tidegate.config.section import Section, frozen

__all__ = ["FilterUse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterUse(Section):
    """A filter as the configuration names it: ``class`` in the file, and beside it the options that the class declares.

    ``options`` holds plain values, already checked against the class, with its defaults filled in.
    """

    target: Annotated[str, Doc('The class, as "package.module:Class".')]
    options: Annotated[Mapping[str, Any], Doc("What the class declares.")] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", frozen(self.options))
