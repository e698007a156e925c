"""Algorithms by name."""

import pytest

from tidegate.limits.adaptive.catalogue import ALGORITHMS, DEFAULT, make
from tidegate.limits.adaptive.queue_delay import QueueDelay


def test_default_is_queue_delay():
    assert type(make()) is QueueDelay
    assert DEFAULT == "queue_delay"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_is_made_by_its_name_with_its_options(name):
    algorithm = make(name, initial=77)
    assert (algorithm.name, algorithm.limit) == (name, 77.0)


def test_unknown_name_says_which_there_are():
    with pytest.raises(ValueError, match=r"'reno'.*queue_delay, gradient"):
        make("reno")
