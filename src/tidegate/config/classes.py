"""``[classes]``: which requests are more important than others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Le

from tidegate.config.kinds import Doc, FieldName
from tidegate.config.section import Section

__all__ = ["CLASSES_MAX", "Classes"]

CLASSES_MAX = 4
"""Permits in flight are counted by as many (``memory.inflight``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes(Section):
    """Classes of traffic: who waits in a `queue` is served by class, and `shares` of a limit are those of classes.

    A request is of the class that its route says (`traffic_class`), or of the `default`; `priorities` say more than
    the route, and the `header` has the last word as far as it is taken.
    """

    names: Annotated[tuple[str, ...], Doc("The classes, the most important first; 4 at most.")] = ()
    default: Annotated[
        str | None, Doc("The class of what nothing else is said of; absent: the last, the least important.")
    ] = None
    priorities: Annotated[
        Mapping[str, Annotated[int, Ge(-1000), Le(1000)]],
        Doc("By class, the least `priority` of an auth key whose requests are of it."),
    ] = field(default_factory=dict)
    header: Annotated[
        str | None,
        FieldName(),
        Doc("A field in which a request says its class; it can make itself less important. Absent: none."),
    ] = None
    header_raises: Annotated[
        bool, Doc("Whether it can make itself more important as well: for clients that are all trusted.")
    ] = False
