"""Filter classes that a test hands in."""

import importlib

import pytest

from tidegate import Filter
from tidegate.testing import classes


def test_class_gets_a_name_under_which_it_can_be_loaded() -> None:
    class Local(Filter):
        pass

    class Other(Filter):
        pass

    target = classes.target_of(Local)
    module, _, name = target.partition(":")
    assert getattr(importlib.import_module(module), name) is Local
    assert classes.target_of(Local) == target
    assert classes.target_of(Other) != target


def test_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no filter class was handed in as Nothing"):
        classes.Nothing  # noqa: B018
