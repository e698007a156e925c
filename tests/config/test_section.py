"""Sections are immutable all the way down."""

import dataclasses

import pytest

from tidegate.config.routes import HeaderChange, Route
from tidegate.config.section import frozen


def test_fields_and_tables_are_read_only() -> None:
    change = HeaderChange(set={"X-A": "1"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        change.remove = ("X-B",)  # type: ignore[misc]
    with pytest.raises(TypeError):
        change.set["X-A"] = "2"  # type: ignore[index]


def test_table_given_is_not_the_table_kept() -> None:
    headers = {"X-A": "1"}
    route = Route(name="a", headers=headers)
    headers["X-A"] = "2"
    assert route.headers == {"X-A": "1"}


def test_frozen_reaches_into_lists_and_tables() -> None:
    value = frozen({"a": [{"b": [1]}]})
    assert value == {"a": ({"b": (1,)},)}
    with pytest.raises(TypeError):
        value["a"][0]["b"] = 2
