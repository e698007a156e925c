"""The limits that are compared."""

import pytest

from tidegate.lab.sim.contenders import CONTENDERS, UNLIMITED, contender
from tidegate.lab.sim.scenario import shipped
from tidegate.limits.adaptive.catalogue import ALGORITHMS
from tidegate.limits.adaptive.controller import Controller

SCENARIO = shipped()["slow_backend"]


def test_every_algorithm_begins_where_the_scenario_says():
    assert set(CONTENDERS) == {*ALGORITHMS, "fixed", "none"}
    for name in ALGORITHMS:
        limit = contender(name, SCENARIO)
        assert isinstance(limit, Controller)
        assert (limit.algorithm.name, limit.limit) == (name, SCENARIO.initial_limit)


def test_a_fixed_limit_and_none_learn_nothing():
    for name, number in (("fixed", SCENARIO.fixed_limit), ("none", UNLIMITED)):
        limit = contender(name, SCENARIO)
        limit.observe(0, 10**12, 5, was_dropped=True)
        limit.turn(10**12)
        assert limit.limit == number


def test_options_reach_the_algorithm():
    assert contender("queue_delay", SCENARIO, {"target_min_ns": 10**9}).algorithm.target_ns == 10**9


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match="reno"):
        contender("reno", SCENARIO)
