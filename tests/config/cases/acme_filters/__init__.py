"""Filters that the cases name: one as it should be, and every way to be wrong."""

from collections.abc import Mapping
from typing import Annotated, Literal

import tidegate
from tidegate.config.kinds import Duration, Secret
from tidegate.config.options import option, required

Filter = getattr(tidegate, "Filter", object)


class Plan(Filter):
    """Tells the upstream which plan the tenant is on."""

    header: str = option("X-Plan", "name of the field to set")
    ttl: Annotated[float, Duration()] = option(60.0, "how long a plan is believed")
    mode: Literal["soft", "hard"] = option("soft", "what happens without a plan")
    table: str = required("where plans are looked up")
    names: tuple[str, ...] = option(("free", "gold"), "plans that exist")

    def check_options(self) -> None:
        if self.table == "forbidden":
            raise ValueError('the table "forbidden" is not for reading')


class Secretive(Filter):
    """Knows passwords."""

    password: Annotated[str, Secret()] = option("env:HOME", "one password")
    tokens: Mapping[str, Annotated[str, Secret()]] = option({}, "passwords by name")


class Untyped(Filter):
    """Forgot a type."""

    header = option("X-Plan", "name of the field to set")


class Unchecked(Filter):
    """Has an option of a type that nothing can check."""

    other: "NotAFilter" = option(None, "something")  # type: ignore[assignment]


class NotAFilter:
    """Not derived from Filter."""

    __slots__ = ("inner",)


def function() -> None:
    """No class at all."""
