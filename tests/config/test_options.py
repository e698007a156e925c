"""Options a class declares: collected with their bases, made from plain values, read-only defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import pytest

from tidegate.config.kinds import Duration
from tidegate.config.options import declared, make, option, required, section_of
from tidegate.config.section import Section


class Base:
    """A filter-like class."""

    header: str = option("X-Plan", "name of the field")
    ttl: Annotated[float, Duration()] = option(60.0, "how long")


class Derived(Base):
    """Adds and overrides."""

    table: str = required("where to look")
    mode: Literal["soft", "hard"] = option("soft", "how strict")
    names: tuple[str, ...] = option((), "whom")
    plans: Mapping[str, int] = option({"free": 1}, "plan by tenant")
    anything: Any = option(None, "free form")
    header: str = option("X-Other", "name of the field")


def test_options_of_bases_come_first_and_are_overridden_in_place() -> None:
    assert list(declared(Derived)) == ["header", "ttl", "table", "mode", "names", "plans", "anything"]
    assert declared(Derived)["header"].default == "X-Other"
    assert declared(Derived)["table"].is_required
    assert declared(Base)["header"].default == "X-Plan"


def test_instance_has_given_values_and_defaults() -> None:
    made = make(Derived, {"table": "plans", "names": ["a", "b"]})
    assert (made.table, made.names, made.mode, made.ttl) == ("plans", ("a", "b"), "soft", 60.0)
    assert made.plans == {"free": 1}


def test_defaults_are_read_only() -> None:
    made = make(Derived, {"table": "plans"})
    with pytest.raises(TypeError):
        made.plans["free"] = 2  # type: ignore[index]


@pytest.mark.parametrize("values", [{}, {"table": 3}, {"table": "t", "mode": "medium"}])
def test_values_that_do_not_fit_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        make(Derived, values)


def test_class_attribute_is_no_value() -> None:
    with pytest.raises(AttributeError, match="is an option"):
        _ = Derived.table


def test_option_without_type_is_refused() -> None:
    class Untyped:
        header = option("X", "prose")

    with pytest.raises(TypeError, match="has no type"):
        declared(Untyped)


def test_option_without_prose_is_refused() -> None:
    with pytest.raises(TypeError, match="what it is for"):
        option(1, "")


def test_subclass_may_settle_an_option() -> None:
    class Settled(Base):
        header = "X-Fixed"

    assert list(declared(Settled)) == ["ttl"]
    assert make(Settled, {}).header == "X-Fixed"


def test_section_carries_the_prose_of_the_class() -> None:
    assert section_of(Derived).__doc__ == "Adds and overrides."


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner(Section):
    """A table of its own."""

    names: Mapping[str, int] = field(default_factory=dict)


class Nested:
    """Has a table for an option."""

    inner: Inner = option(Inner(), "a table")


def test_option_may_be_a_section_of_its_own() -> None:
    from pydantic import TypeAdapter

    assert make(Nested, {}).inner == Inner()
    assert make(Nested, {"inner": {"names": {"a": 1}}}).inner.names == {"a": 1}
    assert TypeAdapter(section_of(Nested)).validate_json("{}").inner == Inner()  # type: ignore[attr-defined]
